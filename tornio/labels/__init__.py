"""The append-only label log of a task; snapshots; agreement of several annotators."""
