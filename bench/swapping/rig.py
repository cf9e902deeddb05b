"""A real classifier on Ray Serve with a real store, a stand-in for the controller, and a stream of requests."""

from __future__ import annotations

import asyncio
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import ray
from fastapi import FastAPI
from ray import serve
from ray.serve.handle import DeploymentHandle
from ray.serve.schema import LoggingConfig
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bench.swapping.workshop import FULL_NAME, Workshop
from services import proxy
from services.classifier.aliases import AliasReader
from services.classifier.deployment import Classifier
from services.controller.aliases import AliasBoard
from services.embedded import ports
from services.messages import AliasUpdate, Heartbeat, HeldVersions
from tornio.loop.phase import Phase
from tornio.settings import StorageSettings
from tornio.status.reported import ControllerStatus
from tornio.storage.s3 import open_store

TEXTS = (
    "The parcel arrived two days late and the box was torn open.",
    "I was charged twice for March.",
    "Love the new dashboard, thank you!",
)


START_S = 120.0
"""Time-out in seconds of calls to the controller. A controller restarted by Serve takes 50 s on two busy cores."""
ONGOING = 256
"""Most requests in a replica at once. A busy machine can stop a replica for seconds, and its requests pile up."""


@contextmanager
def cluster(folder: Path, variables: Mapping[str, str] | None = None) -> Iterator[str]:
    """Run Ray and Serve on loopback until the block ends. Yields the address of Serve's proxy.

    Workers inherit the variables. Logical CPUs, so that every actor starts on two cores.
    """
    os.environ.update({**proxy.ENVIRONMENT, **(variables or {})})
    port = ports.assign(folder / "ports-of-serve.json", ["serve"])["serve"]
    ray.init(num_cpus=8, include_dashboard=False, object_store_memory=200 << 20, log_to_driver=False)
    try:
        serve.start(http_options={"host": ports.HOST, "port": port, "request_timeout_s": 120})
        yield f"http://{ports.HOST}:{port}"
    finally:
        serve.shutdown()  # type: ignore[no-untyped-call]
        ray.shutdown()


class StandIn:
    """The controller's methods for replicas. It reads the store at its start and when it is requested to."""

    async def __init__(self) -> None:  # type: ignore[misc]  # Serve awaits it
        self._reader = AliasReader(open_store(StorageSettings()))
        self._board = AliasBoard(uuid.uuid4().hex[:8])
        self._reports: dict[str, tuple[float, Heartbeat]] = {}
        await self.look()

    async def look(self) -> None:
        all_aliases, _ = await asyncio.to_thread(self._reader.read_all)
        for task, aliases in all_aliases.items():
            self._board.post(task, aliases)

    async def watch(self, token: str | None, timeout_s: float) -> AliasUpdate:
        return await self._board.wait(token, timeout_s)

    async def status(self, workspace: str, task: str) -> ControllerStatus:
        return ControllerStatus(Phase.WAITING, "No loop runs here.")

    async def report(self, replica_id: str, heartbeat: Heartbeat) -> None:
        self._reports[replica_id] = (time.monotonic(), heartbeat)

    async def reports(self) -> dict[str, Heartbeat]:
        """Return the reports of replicas from the last three seconds, by replica."""
        now = time.monotonic()
        return {replica: report for replica, (at, report) in self._reports.items() if now - at < 3}

    async def pid(self) -> int:
        return os.getpid()


PID_HEADER = "x-pid"


class NamePid:
    """ASGI middleware: every response names the process that made it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._pid = (PID_HEADER.encode(), str(os.getpid()).encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def tagged(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], self._pid]
            await send(message)

        await self._app(scope, receive, tagged)


class Tagged(Classifier.func_or_class):  # type: ignore[misc, name-defined]
    """The classifier, whose responses also name the process that made them."""

    def __serve_build_asgi_app__(self) -> FastAPI:
        app: FastAPI = super().__serve_build_asgi_app__()
        app.add_middleware(NamePid)
        return app


@dataclass(frozen=True)
class Answered:
    """One request of the stream. Times are in monotonic seconds."""

    sent: float
    done: float
    pid: int = 0
    version: str = ""
    revision: int = 0
    label: str = ""
    error: str | None = None


@dataclass
class Rig:
    """The Serve application and a workshop. Call ``close`` at the end. ``url``: where Serve listens."""

    workshop: Workshop
    url: str
    environment: Mapping[str, str]
    replicas: int = 2
    name: str = field(default_factory=lambda: f"rig-{uuid.uuid4().hex[:6]}")

    def __post_init__(self) -> None:
        self._controller: DeploymentHandle[Any] | None = None

    def deploy(self) -> None:
        """Start the application. Called again, Serve replaces every replica, one after the other."""
        settings = {
            "TORNIO_INSECURE": "1",
            "TORNIO_CLASSIFIER_MAX_ONGOING_REQUESTS": str(ONGOING),
            "TORNIO_CLASSIFIER_CLIENT_SHARE": "1",  # all traffic comes from one address
        }
        runtime = {"runtime_env": {"env_vars": {**self.environment, **settings}}}
        stand_in = serve.deployment(
            name="controller",
            max_ongoing_requests=1000,
            graceful_shutdown_timeout_s=2,
            ray_actor_options={"num_cpus": 0.1, **runtime},
        )(StandIn)
        classifier = serve.deployment(
            name="classifier",
            num_replicas=self.replicas,
            max_ongoing_requests=ONGOING,
            max_queued_requests=ONGOING,
            health_check_period_s=2,
            graceful_shutdown_wait_loop_s=1,
            graceful_shutdown_timeout_s=20,
            ray_actor_options={"num_cpus": 0.25, **runtime},
        )(Tagged)
        controller = stand_in.bind()
        quiet = LoggingConfig(enable_access_log=False)  # as `tornio up` and the chart have it
        application = classifier.bind(controller, controller)
        serve.run(application, name=self.name, route_prefix="/", blocking=False, logging_config=quiet)
        self._controller = serve.get_deployment_handle("controller", self.name)

    def close(self) -> None:
        serve.delete(self.name)

    @property
    def controller(self) -> DeploymentHandle[Any]:
        assert self._controller is not None, "deploy first"
        return self._controller

    def notify_controller(self) -> None:
        """Let the controller read the aliases, as the real one does when it has moved them."""
        self.controller.look.remote().result(timeout_s=START_S)

    def reports(self, task: str = FULL_NAME) -> list[HeldVersions]:
        """Return what each replica with a heartbeat reports about the task."""
        return [heartbeat.get(task, HeldVersions()) for heartbeat in self.heartbeats().values()]

    def heartbeats(self) -> Mapping[str, Heartbeat]:
        """Return the last heartbeat of each replica that sends them."""
        found: Mapping[str, Heartbeat] = self.controller.reports.remote().result(timeout_s=START_S)
        return found

    def all_ready(self, version: str) -> bool:
        reports = self.reports()
        return len(reports) >= self.replicas and all(version in report.ready for report in reports)

    def preload(self, version: str) -> float:
        """Make the version `candidate` and wait until every replica holds it. Returns the seconds that this took."""
        begun = time.monotonic()
        self.workshop.candidate(version)
        self.notify_controller()
        until(lambda: self.all_ready(version), f"both replicas hold {version}")
        return time.monotonic() - begun

    def promote(self, version: str) -> tuple[int, float]:
        """Move `current`. Returns its revision and the time after the move."""
        revision, moved = self.workshop.promote(version).revision, time.monotonic()
        self.notify_controller()
        return revision, moved


class Traffic:
    """A steady stream of single-text requests over HTTP, from a thread of its own."""

    def __init__(self, rig: Rig, per_second: float = 15.0, task: str = FULL_NAME) -> None:
        self.answered: list[Answered] = []
        self._rig = rig
        self._interval = 1 / per_second
        self._task = task
        self._ended = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="traffic")

    def __enter__(self) -> Traffic:
        self._thread.start()
        until(lambda: len(self.answered) >= 5, "the first requests are answered")
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    @property
    def failures(self) -> list[Answered]:
        return [one for one in self.answered if one.error is not None]

    def since(self, moment: float) -> list[Answered]:
        """Return the requests that were sent after this time."""
        return [one for one in list(self.answered) if one.sent >= moment]

    def first_by_replica(self, revision: int) -> dict[int, float]:
        """Return, by pid, when each replica first answered with this revision or a later one."""
        first: dict[int, float] = {}
        for one in sorted((one for one in list(self.answered) if one.revision >= revision), key=lambda a: a.done):
            first.setdefault(one.pid, one.done)
        return first

    def wait_for(self, revision: int, replicas: int = 2) -> float:
        """Wait until this many replicas have answered with the revision. Returns when the last one first did."""
        until(lambda: len(self.first_by_replica(revision)) >= replicas, f"{replicas} replicas answer as {revision}")
        return max(self.first_by_replica(revision).values())

    async def _run(self) -> None:
        pending: set[asyncio.Task[None]] = set()
        due = time.monotonic()
        number = 0
        async with httpx.AsyncClient(base_url=self._rig.url, timeout=60) as client:
            while not self._ended.is_set():
                task = asyncio.create_task(self._send(client, TEXTS[number % len(TEXTS)]))
                pending.add(task)
                task.add_done_callback(pending.discard)
                number, due = number + 1, due + self._interval
                await asyncio.sleep(max(0.0, due - time.monotonic()))
            await asyncio.gather(*pending)

    async def _send(self, client: httpx.AsyncClient, text: str) -> None:
        sent = time.monotonic()
        try:
            response = await client.post(f"/v1/tasks/{self._task}/predict", json={"texts": [text]})
            response.raise_for_status()
        except httpx.HTTPError as error:
            self.answered.append(Answered(sent, time.monotonic(), error=f"{type(error).__name__}: {error}"))
            return
        done = time.monotonic()
        (one,) = response.json()["predictions"]
        (label,) = one["labels"]
        pid = int(response.headers[PID_HEADER])
        self.answered.append(Answered(sent, done, pid, one["version"], one["revision"], label))


def until(condition: Callable[[], bool], what: str, seconds: float = 300.0) -> None:
    """Wait for a condition. Raises TimeoutError with the description ``what``."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"Waited {seconds:.0f} s in vain until {what}.")
        time.sleep(0.02)


def environment(
    endpoint: str, bucket: str, access_key: str, secret_key: str, prefix: str, cache: Path
) -> dict[str, str]:
    """Return the variables by which replicas find the store."""
    return {
        "TORNIO_S3_ENDPOINT": endpoint,
        "TORNIO_S3_BUCKET": bucket,
        "TORNIO_S3_PREFIX": prefix,
        "AWS_ACCESS_KEY_ID": access_key,
        "AWS_SECRET_ACCESS_KEY": secret_key,
        "TORNIO_CACHE_DIR": str(cache),
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
    }
