"""The one way to a prediction: every protocol asks here, so that each counts texts against the limits of keys alike."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass

from services import metrics
from services.clients import CLIENT
from services.gateway.callers import Caller
from services.gateway.port import Backend
from services.limits.port import Limits
from services.metrics import Meter
from tornio.api import Prediction, TaskName, ZeroShotIn, ZeroShotOut
from tornio.errors import Throttled

_UNLIMITED: AbstractAsyncContextManager[None] = nullcontext()


@dataclass(frozen=True, slots=True)
class Answering:
    """Predictions for callers. Methods raise Throttled for a key that is beyond its limit, else as ``Backend`` does.

    Texts count when they are asked for, also if the model then fails.
    """

    backend: Backend
    limits: Limits
    meter: Meter

    async def predict(
        self, caller: Caller, task: TaskName, texts: Sequence[str], version: str | None = None
    ) -> Sequence[Prediction]:
        """Return a prediction per text, in their order."""
        CLIENT.set(caller.name)
        async with self._admitted(caller, len(texts)):
            return await self.backend.predict(task, texts, version)

    async def zero_shot(self, caller: Caller, asked: ZeroShotIn) -> ZeroShotOut:
        """Return the teacher's answers, in the order of the texts."""
        async with self._admitted(caller, len(asked.texts)):
            return await self.backend.zero_shot(asked)

    def _admitted(self, caller: Caller, texts: int) -> AbstractAsyncContextManager[None]:
        return self._counted(caller, texts) if caller.limits.any else _UNLIMITED

    @asynccontextmanager
    async def _counted(self, caller: Caller, texts: int) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(self.limits.admitted(caller.name, caller.limits, texts))
            except Throttled:
                self.meter.record(metrics.THROTTLED, texts, key=caller.name)
                raise
            yield
