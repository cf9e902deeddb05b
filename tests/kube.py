"""A Kubernetes API in memory, and a KubeRay operator that is played as a real one was measured to behave."""

from __future__ import annotations

import shlex
import threading
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from uuid import uuid4

from jobs.context import JobContext
from jobs.running.execute import execute, resumed_attempt
from jobs.running.kuberay import KubeRayRunner
from tornio.errors import AlreadyExists, NotFound, TornioError
from tornio.kube.port import RAY_JOB, Cluster, Json, Kind
from tornio.schemas.keys import run_of
from tornio.schemas.runs import RunPlan, RunResult
from tornio.storage import documents
from tornio.storage.port import ObjectStore

NAMESPACE = "team"
TEMPLATE: Json = {
    "apiVersion": "ray.io/v1",
    "kind": "RayJob",
    "metadata": {"name": "template", "labels": {"app.kubernetes.io/name": "tornio"}},
    "spec": {"submissionMode": "HTTPMode", "entrypoint": "", "entrypointNumCpus": 1, "backoffLimit": 0},
}


class Killed(BaseException):
    """The process is gone: nothing below catches it."""


@dataclass
class FakeKube:
    """Objects by kind, namespace and name. ``away``: raised by every call."""

    objects: dict[tuple[str, str | None, str], Json] = field(default_factory=dict)
    kinds: set[str] | None = None
    """Kinds that there are; none: every one."""
    away: TornioError | None = None
    calls: list[str] = field(default_factory=list)

    def get(self, kind: Kind, name: str, namespace: str | None = None) -> Json:
        self._answer("get", kind)
        try:
            return deepcopy(self.objects[kind.name, namespace, name])
        except KeyError:
            raise NotFound(f"{kind.plural} {name!r} not found") from None

    def list(self, kind: Kind, namespace: str | None = None, labels: str = "") -> list[Json]:
        self._answer("list", kind)
        wanted = dict(pair.split("=") for pair in labels.split(",") if pair)
        found = [one for (k, n, _), one in self.objects.items() if k == kind.name and namespace in (None, n)]
        return [deepcopy(one) for one in found if wanted.items() <= one["metadata"].get("labels", {}).items()]

    def create(self, kind: Kind, body: Json, namespace: str) -> Json:
        self._answer("create", kind)
        name = body["metadata"]["name"]
        if (kind.name, namespace, name) in self.objects:
            raise AlreadyExists(f"{kind.plural} {name!r} already exists")
        self.put(kind, body, namespace)
        return deepcopy(body)

    def delete(self, kind: Kind, name: str, namespace: str) -> None:
        self._answer("delete", kind)
        self.objects.pop((kind.name, namespace, name), None)

    def put(self, kind: Kind, body: Json, namespace: str | None = None) -> None:
        """Let it be there."""
        made = deepcopy(body)
        made["metadata"].setdefault("uid", uuid4().hex)
        self.objects[kind.name, namespace, made["metadata"]["name"]] = made

    def _answer(self, verb: str, kind: Kind) -> None:
        self.calls.append(f"{verb} {kind.plural}")
        if self.away is not None:
            raise self.away
        if self.kinds is not None and kind.name not in self.kinds:
            raise NotFound("the server could not find the requested resource")


class PlayedKubeRay(FakeKube):
    """Threads in place of clusters. What a real job writes on its standard error is in the message of its end."""

    def __init__(self, store: ObjectStore, context: Callable[[], JobContext]) -> None:
        super().__init__()
        self.store = store
        self.context = context
        self.ended = threading.Event()

    def runner(self, place: str = "bucket/") -> KubeRayRunner:
        """As a process that begins anew has it."""
        return KubeRayRunner(lambda: Cluster(self, NAMESPACE), lambda: TEMPLATE, self.store, place)

    def create(self, kind: Kind, body: Json, namespace: str) -> Json:
        made = super().create(kind, body, namespace)
        self.begin(body["metadata"]["name"])
        return made

    def delete(self, kind: Kind, name: str, namespace: str) -> None:
        super().delete(kind, name, namespace)
        self.ended.set()

    def begin(self, name: str) -> None:
        self.say(name, "Initializing", "PENDING")
        threading.Thread(target=self.drive, args=(name,), daemon=True).start()

    def drive(self, name: str) -> None:
        """What the entry point does, in a process that is new. A head that is lost has it done once more."""
        job = self.job(name)
        self.say(name, "Running", "RUNNING")
        try:
            done = enter(job["spec"]["entrypoint"], self.store, self.context())
        except Killed:
            return
        except Exception as error:  # noqa: BLE001 - as a process that ends with it
            logged = f"last available logs (truncated to 20,000 chars):\n2026 INFO: began\n2026 ERROR jobs: {error}\n"
            message = f"Job entrypoint command failed with exit code 1, {logged}"
            self.say(name, "Failed", "FAILED", reason="AppFailed", message=message)
        else:
            assert done.output is not None
            self.say(name, "Complete", "SUCCEEDED", message="Job finished successfully.")

    def job(self, name: str) -> Json:
        return self.objects[RAY_JOB.name, NAMESPACE, name]

    def say(self, name: str, deployment: str, job: str | None = None, **more: str) -> None:
        """Its status, unless it is gone."""
        found = self.objects.get((RAY_JOB.name, NAMESPACE, name))
        if found is not None:
            found["status"] = {"jobDeploymentStatus": deployment, "jobStatus": job, **more}


def enter(entrypoint: str, store: ObjectStore, context: JobContext) -> RunResult:
    """What ``python -m jobs`` does, without a Ray."""
    words = shlex.split(entrypoint)
    assert words[:3] == ["python", "-m", "jobs"]
    workspace, run, attempt = words[3:6]
    task = words[words.index("--task") + 1] if "--task" in words else None
    context.worker = words[words.index("--token") + 1]
    plan, _ = documents.load(store, run_of(workspace, task, run).plan, RunPlan)
    return execute(plan, resumed_attempt(plan, int(attempt), context), context)
