"""The HTTP API: FastAPI at the edge, a port to everything behind it."""
