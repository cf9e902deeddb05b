"""Which texts an adaptation learns from, and which judge it. A pure function of the texts."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from tornio.errors import InvalidInput
from tornio.records import text_digest

LEAST = 100
"""Fewest texts of an adaptation. Far more are sensible; with fewer, a single step would see a large share of them."""
HELD_OUT_SHARE = 0.05
MOST_HELD_OUT = 2000
"""About the most texts that are held out. More would cost time after each epoch and hardly change the mean."""


@dataclass(frozen=True, slots=True)
class Split:
    """``train``: texts to learn from. ``held_out``: texts that only tell how well it goes. No text is in both."""

    train: tuple[str, ...]
    held_out: tuple[str, ...]


def split_texts(texts: Sequence[str]) -> Split:
    """Split the texts that differ. The hash of a text decides, so that a text stays where it is when others arrive.

    Texts are the same if ``records.text_digest`` is; the first of them is kept. At least one text is held out. Raises
    InvalidInput where too few texts differ.
    """
    differing: dict[str, str] = {}
    for text in texts:
        if text.strip():
            differing.setdefault(text_digest(text), text)
    if len(differing) < LEAST:
        raise InvalidInput(
            f"there are {len(differing)} different texts to adapt to (of {len(texts)} that are not held out), and "
            f"{LEAST} are needed. Add more texts: tornio pool add WORKSPACE/TASK FILE"
        )
    hashes = {digest: _number(digest) for digest in differing}
    share = min(HELD_OUT_SHARE, MOST_HELD_OUT / len(differing))
    limit = max(share, min(hashes.values()))
    held = {digest for digest, number in hashes.items() if number <= limit}
    return Split(
        train=tuple(text for digest, text in differing.items() if digest not in held),
        held_out=tuple(text for digest, text in differing.items() if digest in held),
    )


def _number(digest: str) -> float:
    """A number in [0, 1) that follows from a text's digest, and from nothing that the task's hold-out uses."""
    return int.from_bytes(hashlib.sha256(f"adaptation\x1f{digest}".encode()).digest()[:6], "big") / 2**48
