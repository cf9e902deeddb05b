"""Services that run elsewhere in production, started on loopback: object store, Valkey and Argilla."""
