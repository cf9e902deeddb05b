"""Decide which texts are held out. Held-out texts only judge versions, and never train them. Pure functions."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterable

from tornio.labels.events import EventKind, LabelEvent
from tornio.pool.view import PoolView
from tornio.records import Purpose

_JUDGE = frozenset({EventKind.ANSWER, EventKind.CORRECTION, EventKind.IMPORT})


def holdout_key(full_name: str, seed: int) -> str:
    """Return the key of a new task's reserve: hex digits that follow from its name and ``loop.seed``.

    So a task that is created again from the same file and texts is split the same way.
    """
    return hashlib.sha256(f"tornio hold-out\x1f{full_name}\x1f{seed}".encode()).hexdigest()


def is_reserved(key: str, text_digest: str, share: float) -> bool:
    """Whether a text belongs to the reserve, whose texts judge versions and never train them.

    HMAC-SHA256 of the digest of the normalised text (``records.text_digest``) under the task's key, read as a number
    in [0, 1), is below ``share``: uniform over texts, the same for all copies of a text, and another choice for
    another task. ``key``: any string, ``TaskDocument.holdout_key``.
    """
    number = hmac.digest(key.encode(), text_digest.encode(), "sha256")
    return int.from_bytes(number[:8], "big") < share * 2**64


def reserved_records(view: PoolView, events: Iterable[LabelEvent], key: str, share: float) -> frozenset[str]:
    """Return the records of the view that are held out, including deleted ones. See ``reserve_rule``."""
    digests = list(view.text_digests)
    held = set(filter(reserve_rule(view, events, key, share), set(digests)))
    return frozenset(record_id for record_id, digest in zip(view.record_ids, digests, strict=True) if digest in held)


def training_texts(view: PoolView, events: Iterable[LabelEvent]) -> frozenset[str]:
    """Return the digests of the texts that were imported for training, or asked by a query strategy."""
    asked = (one for one in events if one.purpose is Purpose.QUERY and not one.of_version)
    return _digests(view, (one for one in asked if one.event is not EventKind.AUTO))


def judging_texts(view: PoolView, events: Iterable[LabelEvent]) -> frozenset[str]:
    """Return the digests of the texts that were answered or imported as hold-out, and never trained.

    A text that annotators only discarded has no label to judge by, so it is not among them.
    """
    events = tuple(events)
    given = (one for one in events if one.purpose is Purpose.HOLDOUT and one.event in _JUDGE)
    return _digests(view, given) - training_texts(view, events)


def auto_labelled_texts(view: PoolView, events: Iterable[LabelEvent]) -> frozenset[str]:
    """Return the digests of the texts that ever had an automatic label, on which a version may have been trained."""
    return _digests(view, (one for one in events if one.event is EventKind.AUTO))


def _digests(view: PoolView, events: Iterable[LabelEvent]) -> frozenset[str]:
    digests = view.text_digests
    return frozenset(digests[row] for one in events if (row := view.row(one.record_id)) is not None)


def reserve_rule(view: PoolView, events: Iterable[LabelEvent], key: str, share: float) -> Callable[[str], bool]:
    """Return a function that decides, by the digest of a text, whether the text is held out.

    The text need not be in the pool yet, and all its duplicates are decided alike. The first rule that applies counts:

    1. A text that was imported for training, or asked by a query strategy, is not held out: it trains, or was picked
       with bias.
    2. A text that was imported as hold-out is held out.
    3. The keyed hash decides.
    """
    events = tuple(events)
    queried = training_texts(view, events)
    judging = _digests(
        view, (one for one in events if one.purpose is Purpose.HOLDOUT and one.event is EventKind.IMPORT)
    )
    return lambda digest: digest not in queried and (digest in judging or is_reserved(key, digest, share))
