"""The classifier as a Serve deployment. Aliases decide what it serves, never arguments of Serve."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from ray import serve
from ray.serve.handle import DeploymentHandle

from services.batching import Batcher
from services.classifier.answers import answer
from services.classifier.checkpoints import Checkpoints
from services.classifier.follow import Follower
from services.classifier.settings import ClassifierSettings
from services.classifier.shelf import Shelf
from services.messages import AliasUpdate, Heartbeat
from tornio.models.port import Model
from tornio.records import Prediction
from tornio.registry import NodeCache
from tornio.settings import NodeSettings, StorageSettings
from tornio.storage.s3 import open_store

_settings = ClassifierSettings()


class ControllerHandle:
    """The controller behind a Serve handle."""

    def __init__(self, handle: DeploymentHandle[Any]) -> None:
        self._handle = handle

    async def watch(self, token: str | None, timeout_s: float) -> AliasUpdate:
        update: AliasUpdate = await self._handle.watch.remote(token, timeout_s)
        return update

    async def report(self, replica_id: str, heartbeat: Heartbeat) -> None:
        await self._handle.report.remote(replica_id, heartbeat)


@serve.deployment(
    name="classifier",
    num_replicas=_settings.replicas,
    max_ongoing_requests=_settings.max_ongoing_requests,
    max_queued_requests=_settings.max_queued_requests,
    ray_actor_options={"num_cpus": _settings.num_cpus},
    health_check_period_s=5,
    health_check_timeout_s=30,
    graceful_shutdown_wait_loop_s=1,
    graceful_shutdown_timeout_s=20,
)
class Classifier:
    """One replica: the `current` version of every task, and the versions that may follow it, loaded in advance."""

    async def __init__(self, controller: DeploymentHandle[Any] | None = None) -> None:  # type: ignore[misc]  # Serve awaits it
        import torch  # here, because the process that deploys the application must not load it

        from tornio.models.loading import Loader

        node = NodeSettings()
        torch.set_num_threads(node.torch_threads)
        settings = ClassifierSettings()
        store = open_store(StorageSettings())
        checkpoints = Checkpoints(store, Loader(store, NodeCache(node.cache_dir, store), node.precision))
        self._shelf = Shelf[Model](checkpoints.load, time.monotonic)
        self._batcher = Batcher[str, Prediction](
            self._bind, batch_tokens=settings.batch_tokens, queue_tokens=settings.queue_tokens
        )
        self._follower = Follower(
            self._shelf,
            store,
            ControllerHandle(controller) if controller else None,
            replica_id=serve.get_replica_context().replica_id.unique_id,
        )
        await self._follower.start(settings.ready_seconds)

    async def predict(self, task: str, texts: list[str]) -> list[Prediction]:
        """Return a prediction for each text, all by one version. ``task``: its full name.

        Raises NotFound, NotServable, and Unavailable if the replica is overloaded or no version can be loaded.
        """
        await self._follower.require(task)
        return list(await self._batcher.submit(task, texts))

    async def report(self) -> Heartbeat:
        """Return what this replica holds, for tests and people. The controller gets it with every heartbeat."""
        return self._shelf.report()

    def check_health(self) -> None:
        """Raises RuntimeError when the replica no longer follows the aliases and must be replaced."""
        self._follower.check()

    def _bind(self, task: str) -> Callable[[Sequence[str]], Sequence[Prediction]]:
        return partial(answer, self._shelf.serving(task))
