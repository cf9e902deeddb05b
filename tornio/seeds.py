"""Derive the seed of each random choice from its purpose, so that a repetition gives the same result."""

import hashlib


def derive_seed(*parts: str | int) -> int:
    """A seed in [0, 2**32) from the names and numbers that a choice is for."""
    return int.from_bytes(hashlib.sha256("\x1f".join(map(str, parts)).encode()).digest()[:4], "big")
