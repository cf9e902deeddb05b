"""The append-only label log of a task, its resolution to labels, and the agreement of several annotators."""
