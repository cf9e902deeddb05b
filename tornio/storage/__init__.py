"""The object store: bytes, digests and conditional writes."""
