"""Sessions of this process alone, for tests and for an app without a store."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from services.gateway.sessions.port import digest_of, new_token


class MemorySessions:
    """Implements ``Sessions``. ``hours``: how long a session lives."""

    def __init__(self, hours: float = 12.0, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._life = timedelta(hours=hours)
        self._clock = clock
        self._held: dict[str, tuple[str, datetime]] = {}

    async def begin(self, key: str) -> str:
        now = self._clock()
        self._held = {digest: one for digest, one in self._held.items() if one[1] > now}
        token = new_token()
        self._held[digest_of(token)] = key, now + self._life
        return token

    async def find(self, token: str) -> str | None:
        key, expires_at = self._held.get(digest_of(token), ("", datetime.min.replace(tzinfo=UTC)))
        return key if self._clock() < expires_at else None

    async def end(self, token: str) -> None:
        self._held.pop(digest_of(token), None)
