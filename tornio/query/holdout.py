"""Who is held out: a keyed hash of the text decides, for ever and without a list."""

from __future__ import annotations

import hmac


def is_reserved(key: str, text_digest: str, share: float) -> bool:
    """Whether a text belongs to the reserve that only ever judges.

    HMAC-SHA256 of the digest of the normalised text (``records.text_digest``) under the task's key, read as a number
    in [0, 1), is below ``share``: uniform over texts, the same for all copies of a text, and another choice for
    another task. ``key``: any string, ``TaskDocument.holdout_key``.
    """
    number = hmac.digest(key.encode(), text_digest.encode(), "sha256")
    return int.from_bytes(number[:8], "big") < share * 2**64
