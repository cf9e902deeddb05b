"""The controller as a Serve deployment: Serve restarts it when it dies."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
import uuid
from collections.abc import Sequence

from ray import serve

from jobs.running.kuberay import kuberay_runner
from jobs.running.measuring import Measure
from jobs.running.placement import PlacedRunner
from jobs.running.submitted import RayJobRunner
from jobs.running.warm import WarmRunner
from services.controller.aliases import AliasBoard
from services.controller.fleet import HeartbeatFleet
from services.controller.keeper import Keeper, Watched
from services.controller.measured import Measured
from services.limits.book import LimitBook
from services.limits.port import Ask, Grant
from services.messages import Aliases, AliasUpdate, ControllerStatus, Heartbeat
from services.metrics import RayMeter
from tornio.annotation.environment import annotation_from_environment
from tornio.api import Request
from tornio.kube.client import connect
from tornio.loop.first import waits_for
from tornio.loop.phase import Phase, trial_progress
from tornio.schemas.runs import RunPlan
from tornio.settings import JobSettings, KubeSettings, StorageSettings
from tornio.storage.s3 import open_store
from tornio.tasks import Progress

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
    """Reconciles every task, publishes aliases to the replicas, and reports the status of tasks."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._board = AliasBoard(uuid.uuid4().hex[:8])
        self._fleet = HeartbeatFleet(time.monotonic)
        self._limits = LimitBook()
        self._measured = Measured(RayMeter())
        self._warm = WarmRunner()
        store, jobs = open_store(StorageSettings()), JobSettings()
        template = KubeSettings().job_template
        large = (
            RayJobRunner(num_cpus=jobs.worker_cpus) if template is None else kuberay_runner(connect, template, store)
        )
        self._keeper = Keeper(
            store=store,
            annotation=annotation_from_environment(),
            runner=PlacedRunner(self._warm, large, Measure(store), jobs.large_texts),
            fleet=self._fleet,
            holder=f"controller-{uuid.uuid4().hex[:8]}",
            after_look=self._publish,
        )
        self._thread = threading.Thread(target=self._keeper.run, daemon=True, name="keeper")
        self._thread.start()

    def _publish(self, watched: Watched) -> None:
        """Post the aliases that the last look found, and measure it. Called in the task's thread."""
        self._measured.look(watched)
        aliases = None
        if watched.last and not watched.gone:
            aliases = Aliases.of(watched.last.seen.current, watched.last.seen.candidate)
        if aliases is not None or watched.gone:
            self._loop.call_soon_threadsafe(self._board.post, "/".join(watched.name), aliases)

    async def watch(self, token: str | None, timeout_s: float) -> AliasUpdate:
        """Return the aliases of all tasks: at a change or the timeout if ``token`` is the present one, else at once."""
        return await self._board.wait(token, timeout_s)

    async def report(self, replica_id: str, heartbeat: Heartbeat) -> None:
        """Record a replica's heartbeat, and wake the tasks of which it has news."""
        for name in self._fleet.report(replica_id, heartbeat):
            workspace, _, task = name.partition("/")
            self._keeper.nudge((workspace, task))

    async def nudge(self, workspace: str, task: str) -> None:
        """Look at this task now, because something was written."""
        self._keeper.nudge((workspace, task))

    async def answered(self, workspace: str, dataset: str) -> None:
        """Look at the tasks that have this data set now, because the annotation tool says that it has changed."""
        self._keeper.answered(workspace, dataset)

    async def lend(self, gateway: str, asks: Sequence[Ask]) -> Sequence[Grant]:
        """Return what a gateway may use of the limits of keys."""
        return await self._limits.lend(gateway, asks)

    async def plan(self, job: str, workspace: str, task: str, request: Request) -> RunPlan:
        """Return the plan of a run that a user asks for. Raises the errors of the request, and Unavailable."""
        return await asyncio.to_thread(self._warm.plan, job, workspace, task, request.model_dump())

    async def status(self, workspace: str, task: str) -> ControllerStatus:
        """Return what the controller knows about the task."""
        watched = self._keeper.watched.get((workspace, task))
        replicas = self._fleet.describe(f"{workspace}/{task}")
        if watched is None:
            trouble = self._keeper.trouble
            phase = Phase.ATTENTION if trouble else Phase.WAITING
            why = trouble or "The controller has not found the task yet."
            return ControllerStatus(phase, why, replicas=replicas)
        look = watched.last
        progress = look.seen.batches if look else {}
        return ControllerStatus(
            phase=watched.standing.phase,
            why=watched.standing.why,
            batches={
                batch.batch: Progress(counted.total, counted.answered)
                for batch in (look.state.batches if look else ())
                if (counted := progress.get(batch.batch))
            },
            queryable=look.seen.queryable if look else None,
            replicas=replicas,
            gone_accounts=look.gone_accounts if look else (),
            accounts=look.accounts if look else {},
            runs=dict(watched.runs.troubles) if watched.runs else {},
            first_version=waits_for(look.state, look.seen) if look else None,
            trial=trial_progress(look.state, look.seen) if look else None,
        )

    def check_health(self) -> None:
        """Raises RuntimeError when the keeper's thread has ended."""
        if not self._thread.is_alive():
            raise RuntimeError("The keeper's thread has ended.")
