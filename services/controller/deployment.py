"""The controller as an actor that Serve keeps alive, and restarts when it is killed."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
import uuid
from typing import Any

from ray import serve

from jobs.running.kuberay import kuberay_runner
from jobs.running.measuring import Measure
from jobs.running.placement import PlacedRunner
from jobs.running.submitted import RayJobRunner
from jobs.running.warm import WarmRunner
from services.controller.aliases import AliasBoard, wanted
from services.controller.fleet import HeartbeatFleet
from services.controller.keeper import Keeper, Watched
from tornio.annotation.argilla import ArgillaTool
from tornio.kube.client import connect
from tornio.loop.phase import Phase
from tornio.settings import ArgillaSettings, JobSettings, KubeSettings, StorageSettings
from tornio.storage.s3 import open_store

log = logging.getLogger(__name__)


@serve.deployment(
    name="controller",
    num_replicas=1,
    max_ongoing_requests=1000,  # each replica of the classifier holds one long poll open
    ray_actor_options={"num_cpus": 0.1},
    health_check_period_s=5,
    health_check_timeout_s=10,
    graceful_shutdown_timeout_s=2,
)
class Controller:
    """Reconciles every task, tells replicas where aliases stand, and tells people where tasks stand."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._board = AliasBoard(uuid.uuid4().hex[:8])
        self._fleet = HeartbeatFleet(time.monotonic)
        self._warm = WarmRunner()
        store, jobs = open_store(StorageSettings()), JobSettings()
        template = KubeSettings().job_template
        large = (
            RayJobRunner(num_cpus=jobs.worker_cpus) if template is None else kuberay_runner(connect, template, store)
        )
        self._keeper = Keeper(
            store=store,
            annotation=_argilla(),
            runner=PlacedRunner(self._warm, large, Measure(store), jobs.large_texts),
            fleet=self._fleet,
            holder=f"controller-{uuid.uuid4().hex[:8]}",
            told=self._told,
        )
        self._thread = threading.Thread(target=self._keeper.run, daemon=True, name="keeper")
        self._thread.start()

    def _told(self, watched: Watched) -> None:
        name = "/".join(watched.name)
        positions = wanted(watched.last.seen) if watched.last and not watched.gone else None
        if positions is not None or watched.gone:
            self._loop.call_soon_threadsafe(self._board.post, name, positions)

    async def watch(self, token: str | None, timeout_s: float) -> dict[str, Any]:
        """Where all aliases stand; waits for a change when the caller knows the board of this token."""
        return await self._board.wait(token, timeout_s)

    async def report(self, replica_id: str, report: dict[str, dict[str, Any]]) -> None:
        """A replica's heartbeat: per task what it serves, what it has ready, what it cannot load."""
        if self._fleet.report(replica_id, report):
            for name in report:
                workspace, _, task = name.partition("/")
                self._keeper.nudge((workspace, task))

    async def nudge(self, workspace: str, task: str) -> None:
        """Somebody wrote something: look at this task now."""
        self._keeper.nudge((workspace, task))

    async def plan(self, job: str, workspace: str, task: str, asked: dict[str, Any]) -> str:
        """The plan, as JSON, of a run that a user asks for. Raises what the request is worth, and Unavailable."""
        plan = await asyncio.to_thread(self._warm.plan, job, workspace, task, asked)
        return plan.encode().decode()

    async def status(self, workspace: str, task: str) -> dict[str, Any]:
        """Where a task stands, for the status page."""
        watched = self._keeper.watched.get((workspace, task))
        replicas = self._fleet.describe(f"{workspace}/{task}")
        if watched is None:
            trouble = self._keeper.trouble
            phase = Phase.ATTENTION if trouble else Phase.WAITING
            why = trouble or "the controller has not found the task yet"
            return {"phase": str(phase), "why": why, "batches": [], "replicas": replicas, "runs": {}}
        look = watched.last
        progress = look.seen.batches if look else {}
        batches = [
            {"batch": batch.batch, "total": p.total, "answered": p.answered, "closed": batch.closed}
            for batch in (look.state.batches if look else ())
            if (p := progress.get(batch.batch))
        ]
        return {
            "phase": str(watched.standing.phase),
            "why": watched.standing.why,
            "batches": batches,
            "queryable": look.seen.queryable if look else None,
            "replicas": replicas,
            "runs": dict(watched.runs.troubles) if watched.runs else {},
        }

    def check_health(self) -> None:
        if not self._thread.is_alive():
            raise RuntimeError("the keeper's thread is gone")


def _argilla() -> ArgillaTool:
    settings = ArgillaSettings()
    return ArgillaTool(settings.url, settings.key())
