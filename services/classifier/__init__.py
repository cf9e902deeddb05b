"""The classifier: replicas that answer HTTP, and exchange every task's `current` version without missing a request."""
