"""Services that run elsewhere in production, started on loopback: object store, Redis and Argilla."""
