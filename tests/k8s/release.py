"""A release of the chart in a namespace of a test, with the services of k8s/dev beside it, and traffic to it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests import running
from tests.chart import CHART, DEV, ROOT, switched
from tests.k8s.kubectl import Kubectl
from tornio.client import Client

KEY = "tornio-dev-client-key"
IMAGE = "tornio-dev:0.2.0"
SERVE = "ray.io/node-type=worker,app.kubernetes.io/component=serve"
HEAD = "ray.io/node-type=head,app.kubernetes.io/component=head"
LOAD = Path(__file__).parent / "load.py"


@dataclass(frozen=True)
class Argilla:
    """That of k8s/dev, with the key of an owner."""

    argilla_url: str
    argilla_api_key: str = "argilla-dev-api-key"


@dataclass(frozen=True)
class Release:
    kubectl: Kubectl
    ready_s: float
    """From `helm install` to the RayService's condition."""

    def upgrade(self, values: dict[str, Any]) -> None:
        self.kubectl.helm("upgrade", "tornio", str(CHART), *DEV, *switched(values), "--timeout", "15m")

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = self.kubectl.get("rayservice", "tornio").get("status") or {}
        return found

    def cluster(self) -> str:
        return str(self.status()["activeServiceStatus"]["rayClusterName"])

    def replace(self, values: dict[str, Any]) -> float:
        """An upgrade that makes another cluster; seconds until it is the active one. The first lives on for a while."""
        before = self.cluster()
        self.upgrade(values)
        return until(lambda: self.cluster() != before, 900, "no other cluster came")

    def wait_for_one(self) -> None:
        """Until the replaced cluster is gone."""
        until(lambda: len(self.kubectl.get("rayclusters")) == 1, 300, "the old cluster stays")

    def ask(self, path: str, key: str = KEY) -> httpx.Response:
        with self.kubectl.forwarded("svc/tornio-serve-svc", 8000) as url:
            return httpx.get(url + path, headers={"Authorization": f"Bearer {key}"}, timeout=30)

    @contextmanager
    def client(self) -> Iterator[Client]:
        """Through one of the serving pods: it ends with that pod."""
        with self.kubectl.forwarded("svc/tornio-serve-svc", 8000) as url, Client(url, KEY) as client:
            yield client


@contextmanager
def installed(kubectl: Kubectl, values: dict[str, Any]) -> Iterator[Release]:
    """In the namespace of ``kubectl``, Ready, and gone at the end."""
    kubectl.run("apply", "-f", str(ROOT / "k8s" / "dev" / "services.yaml"))
    kubectl.run("rollout", "status", "deployment/tornio-dev", "--timeout=5m")
    begun = time.monotonic()
    try:
        kubectl.helm("install", "tornio", str(CHART), *DEV, *switched(values))
        kubectl.run("wait", "--for=condition=Ready", "rayservice/tornio", "--timeout=15m")
        yield Release(kubectl, time.monotonic() - begun)
    finally:
        # The release first: KubeRay clears Redis by a Job, and a namespace that goes takes no new one.
        kubectl.helm("uninstall", "tornio", "--ignore-not-found")
        until(lambda: not kubectl.get("rayclusters"), 400, "the cluster does not go")


def until(true: Callable[[], object], seconds: float, what: str) -> float:
    """Seconds that it took."""
    begun = time.monotonic()
    running.until(true, what, seconds, pause=2)
    return time.monotonic() - begun


@dataclass
class Seen:
    """What a client in the cluster saw. ``failed``: second since its beginning and what was said."""

    sent: int = 0
    failed: tuple[tuple[float, str], ...] = ()
    versions: tuple[str, ...] = ()
    slowest_s: float = 0.0

    def outage_s(self) -> float:
        """Between the first failure and the last."""
        return self.failed[-1][0] - self.failed[0][0] if self.failed else 0.0


@contextmanager
def traffic(kubectl: Kubectl, task: str, per_second: float) -> Iterator[Seen]:
    """Predictions through the Service from a pod, half over connections that are kept; complete after the block."""
    name, seen = "load", Seen()
    kubectl.run("delete", "pod", name, "--ignore-not-found", "--grace-period=1")
    manifest = kubectl.run("create", "configmap", name, f"--from-file={LOAD}", "--dry-run=client", "-o", "json")
    kubectl.run("apply", "-f", "-", given=manifest)
    kubectl.run("apply", "-f", "-", given=json.dumps(_pod(name, task, per_second)))
    kubectl.run("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=2m")
    yield seen
    phase = kubectl.get("pod", name)["status"]["phase"]
    assert phase == "Running", f"the load is {phase}: {kubectl.run('logs', name)}"
    kubectl.run("exec", name, "--", "touch", "stop")
    kubectl.run("wait", "--for=jsonpath={.status.phase}=Succeeded", f"pod/{name}", "--timeout=3m")
    said = json.loads(kubectl.run("logs", name).splitlines()[-1])
    seen.sent, seen.slowest_s = said["sent"], said["slowest_s"]
    seen.failed, seen.versions = tuple((at, why) for at, why in said["failed"]), tuple(said["versions"])


def _pod(name: str, task: str, per_second: float) -> dict[str, Any]:
    url = f"http://tornio-serve-svc:8000/v1/tasks/{task}/predict"
    container = {
        "name": "load",
        "image": IMAGE,
        "workingDir": "/tmp",  # noqa: S108 - of the pod
        "command": ["python", "-u", "/load/load.py", url, str(per_second)],
        "env": [{"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "tornio-dev", "key": "client-key"}}}],
        "readinessProbe": {"exec": {"command": ["test", "-e", "sending"]}, "periodSeconds": 1},
        "resources": {"requests": {"cpu": "200m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [{"name": "load", "mountPath": "/load"}],
    }
    security = {"runAsNonRoot": True, "runAsUser": 10001, "seccompProfile": {"type": "RuntimeDefault"}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "securityContext": security,
            "containers": [container],
            "volumes": [{"name": "load", "configMap": {"name": name}}],
        },
    }
