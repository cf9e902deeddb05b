"""The state of a task: what store and controller report, and the status and versions that users are shown."""
