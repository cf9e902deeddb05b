"""The classifier as a Serve deployment. What it serves it learns from aliases, never from Serve's arguments."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
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
from tornio.models.port import Model
from tornio.registry import NodeCache
from tornio.settings import NodeSettings, StorageSettings
from tornio.storage.s3 import open_store

_settings = ClassifierSettings()


class ControllerHandle:
    """The controller behind a Serve handle."""

    def __init__(self, handle: DeploymentHandle[Any]) -> None:
        self._handle = handle

    async def watch(self, token: str | None, timeout_s: float) -> Mapping[str, Any]:
        said: dict[str, Any] = await self._handle.watch.remote(token, timeout_s)
        return said

    async def report(self, replica_id: str, report: Mapping[str, Any]) -> None:
        await self._handle.report.remote(replica_id, report)


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
    """One replica: the `current` version of every task, and those that may follow it, loaded ahead."""

    async def __init__(self, controller: DeploymentHandle[Any] | None = None) -> None:  # type: ignore[misc]  # Serve awaits it
        import torch  # here, and not in the process that only says what should be deployed

        from tornio.models.loading import Loader

        node = NodeSettings()
        torch.set_num_threads(node.torch_threads)
        settings = ClassifierSettings()
        store = open_store(StorageSettings())
        checkpoints = Checkpoints(store, Loader(store, NodeCache(node.cache_dir, store), node.precision))
        self._shelf = Shelf[Model](checkpoints.load, time.monotonic)
        self._batcher = Batcher[str, dict[str, Any]](
            self._bind, batch_tokens=settings.batch_tokens, queue_tokens=settings.queue_tokens
        )
        self._follower = Follower(
            self._shelf,
            store,
            ControllerHandle(controller) if controller else None,
            replica_id=serve.get_replica_context().replica_id.unique_id,
        )
        await self._follower.start(settings.ready_seconds)

    async def predict(self, task: str, texts: list[str]) -> list[dict[str, Any]]:
        """A ``records.Prediction`` as a mapping for each text, all by one version.

        ``task``: its full name. Raises NotFound, NotServable, Unavailable (overloaded, or nothing that loads).
        """
        await self._follower.require(task)
        return list(await self._batcher.submit(task, texts))

    async def report(self) -> dict[str, Any]:
        """What this replica holds, for tests and people; the controller gets it with every heartbeat."""
        return self._shelf.report()

    def check_health(self) -> None:
        """Raises when the replica no longer follows the aliases and should be replaced."""
        self._follower.check()

    def _bind(self, task: str) -> Callable[[Sequence[str]], Sequence[dict[str, Any]]]:
        return partial(answer, self._shelf.serving(task))
