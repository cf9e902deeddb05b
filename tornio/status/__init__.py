"""How a task stands: what the store says of it, and the status and versions that users are shown."""
