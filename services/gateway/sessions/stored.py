"""Sessions in the object store, so that every replica knows them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import chain, islice
from typing import TypeVar

from services.gateway.sessions.port import digest_of, is_token, new_token
from tornio.errors import TornioError
from tornio.schemas import keys
from tornio.schemas.sessions import PageSession
from tornio.storage import documents
from tornio.storage.port import ObjectStore

log = logging.getLogger(__name__)
T = TypeVar("T")

KEPT_S = 5.0
"""Seconds for which a session that was found is not looked up again, and for which a replica may not notice its end."""
MOST_KEPT = 1_000
"""Sessions that a replica keeps in memory."""
MOST_SWEPT = 200
"""Sessions that the sweep after a login looks at, to delete those that have expired."""
_THREADS = 4
"""Most calls to the store at once. Requests with made-up tokens wait for each other here, and for nothing else."""


class StoreSessions:
    """Implements ``Sessions``. ``hours``: how long a session lives. ``now``: seconds, as `time.monotonic` counts."""

    def __init__(
        self,
        store: ObjectStore,
        hours: float = 12.0,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._life = timedelta(hours=hours)
        self._clock = clock
        self._now = now
        self._kept: dict[str, tuple[PageSession, float]] = {}
        self._threads = ThreadPoolExecutor(_THREADS, "sessions")
        self._sweeper = ThreadPoolExecutor(1, "sessions-sweep")
        self.sweeping: Future[None] | None = None
        """The last sweep. No login waits for it."""

    async def begin(self, key: str) -> str:
        token, created_at = new_token(), self._clock()
        session = PageSession(key=key, created_at=created_at, expires_at=created_at + self._life)
        name = keys.session(digest_of(token))
        await self._blocking(lambda: documents.create(self._store, name, session))
        if self.sweeping is None or self.sweeping.done():
            self.sweeping = self._sweeper.submit(self._sweep, name)
        return token

    async def find(self, token: str) -> str | None:
        if not is_token(token):
            return None
        digest = digest_of(token)
        session, until = self._kept.get(digest, (None, 0.0))
        if session is None or until <= self._now():
            session = await self._load(digest)
        return session.key if session and self._clock() < session.expires_at else None

    async def end(self, token: str) -> None:
        if is_token(token):
            digest = digest_of(token)
            await self._blocking(lambda: self._store.delete([keys.session(digest)]))
            self._kept.pop(digest, None)

    async def _load(self, digest: str) -> PageSession | None:
        self._kept.pop(digest, None)
        found = await self._blocking(lambda: documents.find(self._store, keys.session(digest), PageSession))
        if found is None:
            return None
        while len(self._kept) >= MOST_KEPT:
            del self._kept[next(iter(self._kept))]  # the one that was looked up longest ago
        self._kept[digest] = found[0], self._now() + KEPT_S
        return found[0]

    def _sweep(self, start: str) -> None:
        """Delete expired sessions. ``start``: the key of a session; the digest in it is a random place to begin at."""
        try:
            listed = chain(self._store.list(keys.SESSIONS, start), self._store.list(keys.SESSIONS))
            expired = set[str]()
            for info in islice(listed, MOST_SWEPT):
                found = documents.find(self._store, info.key, PageSession)
                if found and found[0].expires_at <= self._clock():
                    expired.add(info.key)
            self._store.delete(sorted(expired))
        except TornioError as error:  # a later login sweeps
            log.warning("expired sessions were not deleted: %s", error)
        except Exception:  # nobody waits for a sweep, so nobody else would tell
            log.exception("expired sessions were not deleted")

    async def _blocking(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)
