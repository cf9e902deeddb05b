"""Is this object store fit? Its conditional writes are raced once at start-up, for everything rests on them."""

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
"""A store that checks and then writes, without a lock, lets two win only now and then."""


def probe(store: ObjectStore) -> None:
    """Race several writers and refuse a store that does not let exactly one win.

    Leaves nothing behind. Raises InvalidInput for a store that is not fit, NotFound for a bucket that is not
    there, Forbidden, Unavailable.
    """
    keys = [f"probes/{uuid4().hex}/{number}" for number in range(_ROUNDS)]
    with ThreadPoolExecutor(_ROUNDS) as pool:  # at once: SeaweedFS lets the losers of a race wait a second
        failures = [failure for found in pool.map(partial(_round, store), keys) for failure in found]
    store.delete(keys)
    if failures:
        raise InvalidInput(
            f"{store} does not keep its promises: {failures[0]}. Tornio would lose data on it. "
            "AWS S3 and SeaweedFS 4 are known to work, rclone serve s3 is known not to"
        )


def _round(store: ObjectStore, key: str) -> list[str]:
    absent = _race(lambda body: store.put_if_absent(key, body))
    etag = store.get(key).etag
    match = _race(lambda body: store.put_if_match(key, body, etag))
    winners = {"If-None-Match": absent, "If-Match": match}
    return [f"with {name}, {won} of {_WRITERS} writers at once won" for name, won in winners.items() if won != 1]


def _race(write: Callable[[bytes], str]) -> int:
    """How many of several writers at once believe that they have won."""
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
