"""Predictions of every task, made in this process: models, the queue in front of them, and what keeps them current."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from services.batching import Batcher
from services.classifier.answers import answer
from services.classifier.by_name import ByName
from services.classifier.checkpoints import Checkpoints
from services.classifier.follow import Controller, Follower
from services.classifier.live import Live
from services.classifier.measured import Measured
from services.classifier.settings import ClassifierSettings
from services.classifier.shelf import Serving, Shelf
from services.classifier.trials import Trials
from services.clients import CLIENT
from services.metrics import Meter, Unmeasured
from tornio.api import TaskName
from tornio.errors import Unavailable
from tornio.models.port import Model
from tornio.records import Prediction
from tornio.registry import NodeCache
from tornio.settings import NodeSettings
from tornio.storage.port import ObjectStore

ANSWER_S = 60.0
"""Seconds that a prediction may take, including the time in the queue."""
STUCK_S = 600.0
"""Seconds after which a batch counts as stuck. The largest request takes about a minute on a slow core."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """A task, and what served it when the request came. It stays valid, whatever is dropped meanwhile.

    ``named``: whether the request names the version. ``tried``: whether the candidate answers it, in its trial.
    """

    task: str
    serving: Serving[Model]
    named: bool = False
    tried: bool = False


class Predictor:
    """The `current` version of every task, and the versions that may follow it, loaded in advance.

    Everything that the model does runs in a thread of its own, so the event loop stays free for requests.
    """

    def __init__(
        self,
        store: ObjectStore,
        controller: Controller | None,
        replica_id: str,
        node: NodeSettings,
        settings: ClassifierSettings,
        meter: Meter | None = None,
        offer: Callable[[str, Sequence[str]], None] = lambda task, texts: None,
    ) -> None:
        """``offer``: takes a task and its texts that were answered, without waiting. See ``Sampler.offer``."""
        import torch  # here, because the process that deploys the application must not load it

        from tornio.models.loading import Loader

        torch.set_num_threads(node.torch_threads)
        loader = Loader(store, NodeCache(node.cache_dir, store), node.precision)
        self._shelf = Shelf[Model](
            Checkpoints(store, loader).load, time.monotonic, settings.model_bytes, settings.is_pinned
        )
        self._measured = Measured(meter or Unmeasured())
        self._live = Live(
            store,
            replica_id,
            self._version,
            meter or Unmeasured(),
            seconds=settings.window_seconds,
            days=settings.window_days,
        )
        self._batcher = Batcher[_Asked, Prediction](
            self._bind,
            batch_tokens=settings.batch_tokens,
            queue_tokens=settings.queue_tokens,
            done=self._measured.batch,
        )
        self._follower = Follower(
            self._shelf, store, controller, replica_id, report=lambda: self._trials.report(self._shelf.report())
        )
        self._trials = Trials(self._shelf, self._follower.aliases, self._batcher.later, live=self._live.add)
        self._by_name = ByName[Model](
            self._shelf, self._follower, Checkpoints(store, loader).load, settings.on_demand_bytes
        )
        self._offer = offer
        self._ready_seconds = settings.ready_seconds

    async def start(self) -> None:
        """Return when everything that can be loaded in time is loaded. See ``Follower.start``."""
        await self._follower.start(self._ready_seconds)
        self._live.start()

    async def stop(self) -> None:
        """End the background work."""
        await self._follower.stop()
        await self._live.stop()
        self._by_name.close()
        self._batcher.close()

    async def predict(self, task: TaskName, texts: Sequence[str], version: str | None = None) -> Sequence[Prediction]:
        """Return a prediction for each text, all by one version: the one that serves, or the one that is named.

        Raises NotFound, NotServable, and Unavailable if this replica is overloaded or no version can be loaded.
        """
        with self._measured.request(str(task)) as answered:
            try:
                async with asyncio.timeout(ANSWER_S):
                    serving = await self._require(str(task), version)
                    named = version is not None
                    asked = _Asked(str(task), serving, named, not named and self._trials.chosen(str(task)))
                    predictions = await self._batcher.submit(asked, texts, CLIENT.get())
            except TimeoutError as error:
                raise Unavailable(f"The model did not answer within {ANSWER_S:g} s. Try again.") from error
            answered(predictions)
            if not named:
                self._offer(str(task), texts)
            return predictions

    async def ask(self, task: TaskName, version: str | None = None) -> None:
        """Return if this replica can answer for the task at once. Else the model is loaded from now on.

        A version that is named is waited for. Raises NotFound, NotServable, and Unavailable while it cannot answer.
        """
        if version is None:
            await self._follower.ask(str(task))
        else:
            await self._by_name.require(str(task), version)

    async def load(self, task: TaskName, version: str | None = None) -> None:
        """Return when this replica can answer. Raises NotFound, NotServable, Unavailable."""
        await self._require(str(task), version)

    async def unload(self, task: TaskName) -> None:
        """Drop the versions of the task that no alias names. Raises NotFound."""
        await self._by_name.unload(str(task))

    async def _require(self, task: str, version: str | None) -> Serving[Model]:
        if version is None:
            return await self._follower.require(task)
        return await self._by_name.require(task, version)

    def check(self) -> None:
        """Raises RuntimeError when this replica must be replaced: it lost the aliases, or its model hangs."""
        self._follower.check()
        if self._batcher.busy_s > STUCK_S:
            raise RuntimeError(f"The model has been working on one batch for more than {STUCK_S:g} s.")

    def _version(self, task: str) -> str | None:
        serving = self._shelf.peek(task)
        return serving.version if serving else None

    def _bind(self, asked: _Asked) -> Callable[[Sequence[str]], Sequence[Prediction]]:
        """Answer by what serves when the batch starts, by what served when the request came, or by what it names.

        While a version is on trial, it may answer instead.
        """
        if asked.named:
            return partial(answer, asked.serving)
        return self._trials.bind(asked.task, self._shelf.peek(asked.task) or asked.serving, asked.tried)
