"""Which texts only ever judge. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable

from tornio.labels.events import EventKind, LabelEvent
from tornio.pool.view import PoolView
from tornio.query.holdout import is_reserved
from tornio.records import Purpose


def holdout_key(full_name: str, seed: int) -> str:
    """The key of a new task's reserve: hex digits that follow from its name and ``loop.seed``, so that a task made
    again from the same file and texts is split the same way."""
    return hashlib.sha256(f"tornio hold-out\x1f{full_name}\x1f{seed}".encode()).hexdigest()


def reserved_records(view: PoolView, events: Iterable[LabelEvent], key: str, share: float) -> frozenset[str]:
    """The records of the view that are held out, deleted ones included: see ``reserve_rule``."""
    digests = list(view.text_digests)
    held = set(filter(reserve_rule(view, events, key, share), set(digests)))
    return frozenset(record_id for record_id, digest in zip(view.record_ids, digests, strict=True) if digest in held)


def reserve_rule(view: PoolView, events: Iterable[LabelEvent], key: str, share: float) -> Callable[[str], bool]:
    """Says of a text, by its digest, whether it is held out, in the pool or not yet. What is said of a text goes for
    all its duplicates; the first rule that applies:

    1. what was imported for training, or asked by a query strategy, is not: it trains (or was picked with bias);
    2. what was imported as hold-out is;
    3. the keyed hash decides.
    """
    digests = view.text_digests
    queried, judging = set[str](), set[str]()
    for event in events:
        if event.purpose is None or event.event is EventKind.AUTO or (row := view.row(event.record_id)) is None:
            continue
        if event.purpose is Purpose.QUERY:
            queried.add(digests[row])
        elif event.event is EventKind.IMPORT:
            judging.add(digests[row])
    return lambda digest: digest not in queried and (digest in judging or is_reserved(key, digest, share))
