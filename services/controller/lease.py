"""The lease, by which usually only one of several controllers works on a task. It needs no common clock.

The holder of a quiet task looks, and renews its lease, only once in a while, and the lease says for how long it rests.
Another controller waits for that time, too, before it follows a holder that may have died. But if it is asked to look
at the task (a user has done something, or it has just begun), it does not: it takes the lease of a holder that rests,
which is without harm to both, and the former holder finds out when it wakes. So neither a second controller nor a dead
one makes a user wait for longer than ``LEASE_S``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tornio.errors import AlreadyExists, Changed, IntegrityError, NotFound, SchemaTooNew
from tornio.schemas.loop import Lease
from tornio.storage import documents
from tornio.storage.port import ObjectStore

LEASE_S = 6.0
"""Seconds of our own monotonic clock for which another's lease must be unchanged before we take it over, besides those
for which its holder rests. It may be short: a lease that is lost by mistake causes some work twice, but no effect
twice."""

ASK_AGAIN_S = 0.25
"""Seconds until a lease that may have no holder is asked for again: a new controller begins as soon as it may."""


@dataclass
class LeaseKeeper:
    """Holds one task's lease, or waits for it. Call ``held`` before each look at the task, and ``rest`` after it."""

    store: ObjectStore
    key: str
    holder: str
    monotonic: Callable[[], float]
    _etag: str | None = None
    _since: float = 0.0
    """When another's lease was last seen to change, or ours was last renewed."""
    _mine: Lease | None = None
    _other: str = ""
    """Who holds the lease, if it is another."""
    _renewals: int = 0
    """How often another was seen to renew the lease that we wait for."""
    _seen: Lease | None = None
    """The lease of the other, as it was last read."""
    _asked: bool = True
    """Whether a look is asked for that no renewal of the other has followed. A new keeper has not looked yet."""
    _rests_s: float = 0.0
    """For how long we were to rest after the last look, in seconds."""

    def held(self, asked: bool = False) -> bool:
        """Whether we may reconcile now. Renews the lease or takes it over as needed.

        ``asked``: whether somebody has asked for a look since the last call. A holder that rests is not waited for
        then.
        """
        self._asked = self._asked or asked
        held = self._hold(self.monotonic(), asked)
        self._asked = self._asked and not held
        return held

    def rest(self, seconds: float) -> bool:
        """Say in the lease that we leave the task alone for so long. Returns False if it is no longer ours."""
        self._rests_s = seconds if seconds > LEASE_S / 2 else 0.0
        if self._mine is None or self._mine.rests_s >= self._rests_s:
            return self._mine is not None
        return self._write(self._mine.evolve(rests_s=self._rests_s), self.monotonic())

    def waits_for(self) -> tuple[float, str]:
        """Return in how many seconds to ask again, and say why ``held`` was False."""
        if self._seen is not None and self._seen.rests_s and not self._asked:
            return LEASE_S, f"another controller ({self._other}) looks at this task every {self._seen.rests_s:.0f} s"
        if self._renewals:
            return LEASE_S / 3, f"another controller ({self._other}) works on this task"
        left = max(0.0, LEASE_S - (self.monotonic() - self._since))
        why = f"the controller waits for the lease of the former one, which ends in {left:.0f} s if that one has ended"
        return ASK_AGAIN_S, why

    def _hold(self, now: float, asked: bool) -> bool:
        if self._mine is not None:
            if now - self._since < LEASE_S / 3:
                return True
            # A look that nobody asked for finds nothing, as a rule, and then the next rest is as long at least.
            rests_s, self._rests_s = 0.0 if asked else self._rests_s, 0.0
            return self._write(self._mine.evolve(beat=self._mine.beat + 1, rests_s=rests_s), now)
        seen, self._seen = self._seen, None
        lease, etag = self._read()
        if etag is None:
            return self._write(Lease(holder=self.holder, epoch=1, beat=0), now)
        self._seen = lease
        if etag != self._etag:
            if seen is not None and _look(seen) != _look(lease):  # a look began after all earlier askings
                self._asked = asked
            self._renewals = self._renewals + 1 if lease.holder == self._other else 0
            self._other, self._etag, self._since = lease.holder, etag, now
            return False
        if now - self._since < LEASE_S + (0.0 if self._asked else lease.rests_s):
            return False
        return self._write(Lease(holder=self.holder, epoch=lease.epoch + 1, beat=0), now)

    def _read(self) -> tuple[Lease, str | None]:
        """Return the stored lease and its ETag.

        Bytes that are not a lease count as one that nobody renews, because the lease only saves work and must not
        prevent any.
        """
        try:
            stored = self.store.get(self.key)
        except NotFound:
            return Lease(holder="", epoch=0, beat=0), None
        try:
            return Lease.decode(stored.body, self.key), stored.etag
        except SchemaTooNew:
            raise
        except IntegrityError:
            return Lease(holder="", epoch=0, beat=0), stored.etag

    def _write(self, lease: Lease, now: float) -> bool:
        try:
            if self._etag is None:
                documents.create(self.store, self.key, lease)
                stored = documents.find(self.store, self.key, Lease)
                self._etag = stored[1] if stored and stored[0].holder == self.holder else None
            else:
                self._etag = documents.replace(self.store, self.key, lease, self._etag)
        except (AlreadyExists, Changed):
            self._mine, self._seen, self._etag, self._since = None, None, None, now
            return False
        self._mine, self._since = lease, now
        return self._etag is not None


def _look(lease: Lease) -> tuple[str, int, int]:
    """What is another one once the holder begins another look."""
    return lease.holder, lease.epoch, lease.beat
