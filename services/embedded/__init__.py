"""What production has elsewhere, started on loopback: the object store, Redis and Argilla."""
