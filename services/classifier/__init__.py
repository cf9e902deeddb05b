"""The classifier: replicas that serve every task's `current` version and exchange it without missing a request."""
