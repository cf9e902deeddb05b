"""The lease, by which usually only one of several controllers works on a task. It needs no common clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tornio.errors import AlreadyExists, Changed, IntegrityError, NotFound, SchemaTooNew
from tornio.schemas.loop import Lease
from tornio.storage import documents
from tornio.storage.port import ObjectStore

LEASE_S = 6.0
"""Seconds of our own monotonic clock for which another's lease must be unchanged before we take it over. It may be
short: a lease that is lost by mistake causes some work twice, but no effect twice."""

ASK_AGAIN_S = 0.25
"""Seconds until a lease that may have no holder is asked for again: a new controller begins as soon as it may."""


@dataclass
class LeaseKeeper:
    """Holds one task's lease, or waits for it. Call ``held`` before each look at the task."""

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

    def held(self) -> bool:
        """Whether we may reconcile now. Renews the lease or takes it over as needed."""
        now = self.monotonic()
        if self._mine is not None:
            if now - self._since < LEASE_S / 3:
                return True
            return self._write(self._mine.evolve(beat=self._mine.beat + 1), now)
        lease, etag = self._read()
        if etag is None:
            return self._write(Lease(holder=self.holder, epoch=1, beat=0), now)
        if etag != self._etag:
            self._renewals = self._renewals + 1 if lease.holder == self._other else 0
            self._other, self._etag, self._since = lease.holder, etag, now
            return False
        if now - self._since < LEASE_S:
            return False
        return self._write(Lease(holder=self.holder, epoch=lease.epoch + 1, beat=0), now)

    def waits_for(self) -> tuple[float, str]:
        """Return in how many seconds to ask again, and say why ``held`` was False."""
        if self._renewals:
            return LEASE_S / 3, f"another controller ({self._other}) works on this task"
        left = max(0.0, LEASE_S - (self.monotonic() - self._since))
        why = f"the controller waits for the lease of the former one, which ends in {left:.0f} s if that one has ended"
        return ASK_AGAIN_S, why

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
            self._mine, self._etag, self._since = None, None, now
            return False
        self._mine, self._since = lease, now
        return self._etag is not None
