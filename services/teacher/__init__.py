"""The teacher: zero-shot answers with labels given by the request."""
