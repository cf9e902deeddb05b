"""Limits that several gateways share: each borrows texts in advance, so that most requests ask nobody."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from services.limits.bucket import Bucket, Rate, wait_s
from services.limits.local import LocalLimits
from services.limits.port import Ask, Grant, KeyLimits, Lender, too_fast, too_many
from tornio.errors import Unavailable

log = logging.getLogger(__name__)

BLOCK_S = 0.5
"""Seconds of a key's rate that a gateway borrows in advance, if it has asked for the key within as many seconds: the
texts of a key that comes seldom stay where all gateways can have them. A quarter of the burst at most, so that no
gateway takes all of it."""
ASK_AGAIN_S = 0.1
"""Seconds after a refusal within which nobody is asked for what would have been refused then, too: a key that is far
too fast must not cost much."""
RENEW_S = 2.0
"""Seconds after which a gateway gives requests back that it has not needed since."""
AWAY_S = 5.0
"""Seconds after which a lender that did not answer is asked again."""


def ahead(rate: Rate) -> float:
    """Return the most texts that one gateway borrows in advance."""
    return min(rate.per_second * BLOCK_S, rate.burst / 4)


_NEVER = Bucket(0.0, float("-inf"))


@dataclass(slots=True)
class _Account:
    """What this gateway has of one key. ``stock``: texts that were lent and are not used yet. ``asked_at``: when texts
    were lent last. ``peak``: the most requests at a time since they were renewed. ``seen``: the shared bucket, when it
    refused a request last."""

    limits: KeyLimits
    stock: float = 0.0
    asked_at: float = float("-inf")
    under_way: int = 0
    peak: int = 0
    held: int = 0
    seen: Bucket = _NEVER
    asking: asyncio.Lock = field(default_factory=asyncio.Lock)


class LeasedLimits:
    """Implements ``Limits`` for one of several gateways.

    What a gateway has borrowed in advance stays with it until requests use it, and is at most ``ahead`` texts. So in
    any time, n gateways together admit at most n * ``ahead`` texts more than one bucket may, and in the long run no
    more. And they refuse no request of a key whose requests would all fit into a bucket with a burst that is
    n * ``ahead`` smaller. While the lender is away, each goes on alone with the limits divided by the number of
    gateways that it last knew.
    """

    def __init__(self, lender: Lender, gateway: str, now: Callable[[], float] = time.monotonic) -> None:
        self._lender = lender
        self._gateway = gateway
        self._now = now
        self._accounts: dict[str, _Account] = {}
        self._alone = LocalLimits(now)
        self._gateways = 1
        self._away_until = float("-inf")
        self._lending = asyncio.Lock()
        """The lender is asked one thing at a time, so that its answers arrive in their order."""
        self._renewing: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def admitted(self, key: str, limits: KeyLimits, texts: int) -> AsyncIterator[None]:
        account = self._accounts.setdefault(key, _Account(limits))
        account.limits = limits
        if not self._spend(account, texts):
            async with account.asking:
                if not self._spend(account, texts):
                    await self._borrow(key, account, texts)
        account.under_way += 1
        account.peak = max(account.peak, account.under_way)
        try:
            yield
        finally:
            account.under_way -= 1

    def _spend(self, account: _Account, texts: int) -> bool:
        """Take the request out of what is there. Returns whether it was enough."""
        limits = account.limits
        if limits.concurrent_requests is not None and account.under_way >= account.held:
            return False
        if limits.rate is not None:
            account.stock = min(account.stock, ahead(limits.rate))  # the rate may be lower than when they were lent
            if account.stock < texts:
                return False
            account.stock -= texts
        return True

    async def _borrow(self, key: str, account: _Account, texts: int) -> None:
        """Borrow what the request lacks, and take it. Raises Throttled."""
        unused, account.stock = account.stock, 0.0  # no other request takes them meanwhile
        try:
            unused += await self._lent(key, account, texts, unused) - texts
        finally:
            account.stock += unused

    async def _lent(self, key: str, account: _Account, texts: int, unused: float) -> float:
        """Return the texts that were lent, which are enough with the unused ones. Raises Throttled."""
        now, rate, lacking = self._now(), account.limits.rate, max(0.0, texts - unused)
        if now < self._away_until:
            return self._taken_alone(key, account, texts)
        since = now - account.seen.at
        if rate is not None and since < ASK_AGAIN_S and (wait := wait_s(account.seen, rate, lacking)):
            raise too_fast(key, account.limits, texts, max(wait - since, ASK_AGAIN_S))
        most = lacking
        if rate is not None and now - account.asked_at < BLOCK_S:
            most = max(lacking, texts - unused + ahead(rate))
        async with self._lending:
            wanted = max(account.under_way + 1, account.held)
            grant = await self._ask(Ask(key, account.limits, lacking, most, wanted))
        if grant is None:
            return self._taken_alone(key, account, texts)
        if account.limits.concurrent_requests is not None:
            self._renew()
            if account.under_way >= account.held:
                raise too_many(key, account.limits)
        if rate is None:
            return texts
        if grant.wait_s:
            account.seen = Bucket(min(lacking, rate.burst) - grant.wait_s * rate.per_second, now)
            raise too_fast(key, account.limits, texts, grant.wait_s)
        if grant.held < wanted:  # enough, but fewer than this gateway had, and then no texts are lent
            return await self._lent(key, account, texts, unused)
        account.asked_at = now
        return grant.texts

    def _taken_alone(self, key: str, account: _Account, texts: int) -> float:
        self._alone.take(key, account.limits, texts, account.under_way, self._gateways)
        return texts

    async def _ask(self, *asks: Ask) -> Grant | None:
        """Return the grant of the last ask, None if the lender is away."""
        try:
            grants = await self._lender.lend(self._gateway, asks)
        except Unavailable as error:
            if self._now() >= self._away_until:
                log.warning("Limits of keys are kept by each gateway alone for %g s: %s", AWAY_S, error)
            self._away_until = self._now() + AWAY_S
            return None
        for ask, grant in zip(asks, grants, strict=True):
            if ask.limits.concurrent_requests is not None:
                self._accounts[ask.key].held = grant.held
        self._gateways = grants[-1].gateways
        return grants[-1]

    def _renew(self) -> None:
        """Give back the requests that are no longer needed, again and again, until there are none."""
        if self._renewing is None or self._renewing.done():
            self._renewing = asyncio.get_running_loop().create_task(self._keep_renewing(), name="limits")

    async def _keep_renewing(self) -> None:
        while True:
            await asyncio.sleep(RENEW_S)
            async with self._lending:
                asks = [self._renewed(key, account) for key, account in self._accounts.items() if account.held]
                if not asks:
                    return
                await self._ask(*asks)

    def _renewed(self, key: str, account: _Account) -> Ask:
        needed, account.peak = max(account.peak, account.under_way), account.under_way
        return Ask(key, account.limits, 0.0, 0.0, needed)
