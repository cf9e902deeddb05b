"""Check at start-up that an object store is suitable: everything in Tornio relies on its conditional writes."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier
from uuid import uuid4

from tornio.errors import Conflict, InvalidInput
from tornio.storage.port import ObjectStore

_WRITERS = 4
_ROUNDS = 3
"""A store that checks and then writes without a lock lets two writers win only in some rounds."""


def probe(store: ObjectStore) -> None:
    """Let several writers race, and refuse a store that does not let exactly one of them win.

    All probe objects are deleted again. Raises InvalidInput for an unsuitable store, NotFound for a bucket that does
    not exist, Forbidden, Unavailable.
    """
    next(store.list("probes/"), None)  # a missing bucket is reported: SeaweedFS would make one for the first writer
    keys = [f"probes/{uuid4().hex}/{number}" for number in range(_ROUNDS)]
    with ThreadPoolExecutor(_ROUNDS) as pool:  # in parallel, because SeaweedFS lets the losers of a race wait a second
        failures = [failure for round_ in pool.map(partial(_round, store), keys) for failure in round_]
    store.delete(keys)
    if failures:
        raise InvalidInput(
            f"The conditional writes of {store} are not reliable: {failures[0]}. Tornio would lose data on it. "
            "AWS S3 and SeaweedFS 4 are known to work; rclone serve s3 is known not to work."
        )


def _round(store: ObjectStore, key: str) -> list[str]:
    absent = _race(lambda body: store.put_if_absent(key, body))
    etag = store.get(key).etag
    match = _race(lambda body: store.put_if_match(key, body, etag))
    winners = {"If-None-Match": absent, "If-Match": match}
    return [f"with {name}, {won} of {_WRITERS} concurrent writers won" for name, won in winners.items() if won != 1]


def _race(write: Callable[[bytes], str]) -> int:
    """Return how many of several concurrent writers believe that they have won."""
    start = Barrier(_WRITERS)

    def run(_: int) -> bool:
        start.wait()
        try:
            write(uuid4().bytes)
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(_WRITERS) as pool:
        return sum(pool.map(run, range(_WRITERS)))
