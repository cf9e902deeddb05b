"""The object store: bytes, digests, conditional writes."""
