"""What the chart renders, by `helm template`: skipped where there is no helm."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from jobs.kuberay import read_template

pytestmark = [
    pytest.mark.unit,
    pytest.mark.skipif(shutil.which("helm") is None, reason="helm is not installed: charts are not rendered"),
]
ROOT = Path(__file__).resolve().parents[3]
CHART = ROOT / "helm" / "tornio"
SMALL = ("-f", str(CHART / "values-small.yaml"))
DEV = (*SMALL, "-f", str(ROOT / "k8s" / "dev" / "values.yaml"))
TASK = {"name": "reviews", "workspace": "acme", "labels": ["good", "bad"], "pool": "s3://data/reviews.csv"}
EVERYTHING = {
    "gpuServe": {"maxPods": 2},
    "gpuTrain": {"maxPods": 1},
    "ingress": {"enabled": True, "tlsSecret": "cert"},
    "podMonitor": {"enabled": True},
    "networkPolicy": {"monitoringNamespace": {"name": "monitoring"}},
    "tasks": {"reviews": TASK},
    "jobs": {"gpus": 1},
    "image": {"digest": "sha256:" + "a" * 64, "pullSecrets": ["registry"]},
}
SWITCHED = tuple(f"--set-json={name}={json.dumps(value)}" for name, value in EVERYTHING.items())
CASES = {"default": (), "small": SMALL, "dev": DEV, "everything": (*DEV, *SWITCHED)}


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["helm", "template", "t", str(CHART), "--kube-version", "1.34.0", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def rendered(*arguments: str) -> list[dict[str, Any]]:
    done = helm(*arguments)
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def one(documents: list[dict[str, Any]], kind: str, name: str = "t") -> dict[str, Any]:
    (found,) = [one for one in documents if (one["kind"], one["metadata"]["name"]) == (kind, name)]
    return found


def pods(document: Any) -> list[dict[str, Any]]:
    """The specs of all pods that a manifest makes, those of a RayJob in a ConfigMap too."""
    if isinstance(document, dict):
        own = [document] if "containers" in document else []
        return own + [pod for value in document.values() for pod in pods(value)]
    if isinstance(document, list):
        return [pod for value in document for pod in pods(value)]
    if isinstance(document, str) and document.lstrip().startswith("{"):
        return pods(json.loads(document))
    return []


@pytest.fixture(scope="module", params=CASES)
def documents(request: pytest.FixtureRequest) -> list[dict[str, Any]]:
    return rendered(*CASES[request.param])


def test_every_pod_is_restricted(documents: list[dict[str, Any]]) -> None:
    found = pods(documents)
    assert len(found) >= 5
    for pod in found:
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert all(set(volume) - {"name"} <= {"emptyDir", "secret", "configMap"} for volume in pod["volumes"])
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
            }  # fmt: skip
            assert container["resources"]["limits"]["memory"]
            assert "latest" not in container["image"]


def test_no_secret_stands_in_a_manifest(documents: list[dict[str, Any]]) -> None:
    assert not [one for one in documents if one["kind"] == "Secret"]
    for pod in pods(documents):
        for container in pod["containers"]:
            for variable in container.get("env", []):
                if re.search(r"SECRET_|ACCESS_KEY|PASSWORD|API_KEY$", variable["name"]):
                    assert "value" not in variable, variable["name"]


def test_what_ends_a_pod_fits_together(documents: list[dict[str, Any]]) -> None:
    service = one(documents, "RayService")["spec"]
    config = yaml.safe_load(service["serveConfigV2"])
    assert config["http_options"]["keep_alive_timeout_s"] < service["rayClusterDeletionDelaySeconds"]
    for pod in pods(service["rayClusterConfig"]):
        (container,) = pod["containers"]
        variables = {variable["name"]: variable.get("value") for variable in container["env"]}
        stop = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
        assert stop + int(variables["RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S"]) < pod["terminationGracePeriodSeconds"]
        assert variables["RAYSERVICE"] == "t"


def test_workers_are_asked_without_wget(documents: list[dict[str, Any]]) -> None:
    for group in one(documents, "RayService")["spec"]["rayClusterConfig"]["workerGroupSpecs"]:
        (container,) = group["template"]["spec"]["containers"]
        assert container["readinessProbe"]["httpGet"] == {"path": "/-/healthz", "port": 8000}


def test_the_controller_may_make_rayjobs_and_nothing_else(documents: list[dict[str, Any]], tmp_path: Path) -> None:
    rules = one(documents, "Role")["rules"]
    assert [(rule["resources"], sorted(rule["verbs"])) for rule in rules] == [
        (["rayservices"], ["get"]), (["rayjobs"], ["create", "delete", "get", "list"]),
    ]  # fmt: skip
    template = tmp_path / "rayjob.json"
    template.write_text(one(documents, "ConfigMap", "t-jobs")["data"]["rayjob.json"])
    spec = read_template(template)["spec"]
    assert spec["submissionMode"] == "HTTPMode"
    assert spec["preRunningDeadlineSeconds"] < spec["activeDeadlineSeconds"]
    assert not any(pod["automountServiceAccountToken"] for pod in pods(spec))


def test_the_ray_of_manifests_and_image_is_one() -> None:
    pinned = re.search(r"^ray==(.+)$", (ROOT / "constraints" / "cluster.txt").read_text(), re.M)
    assert pinned
    assert one(rendered(), "RayService")["spec"]["rayClusterConfig"]["rayVersion"] == pinned[1]


def test_tasks_are_applied_and_never_stand_in_serve_s_configuration() -> None:
    documents = rendered(*CASES["everything"])
    written = yaml.safe_load(one(documents, "ConfigMap", "t-tasks")["data"]["reviews.yaml"])
    assert written == {name: value for name, value in TASK.items() if name != "pool"}
    (container,) = pods(one(documents, "Job", "t-apply"))[0]["containers"]
    assert 'pool add acme/reviews "s3://data/reviews.csv"' in container["args"][0]
    assert "reviews" not in one(documents, "RayService")["spec"]["serveConfigV2"]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("classifier.minReplica=3", "minReplica"),
        ("serve.minPods=0", "minPods"),
        ("ray.upgradeStrategy=Rolling", "upgradeStrategy"),
        ("image.digest=sha256:abc", "digest"),
        ("termination.graceSeconds=20", "termination.graceSeconds must be"),
        ("teacher.gpus=1", "gpuServe.maxPods"),
        ("argilla.url=http://a", "argilla.existingSecret"),
        ("tasks.a.name=x", "apply.existingSecret"),
    ],
)
def test_a_wrong_value_is_refused_by_its_name(value: str, said: str) -> None:
    done = helm("--set", value)
    assert done.returncode != 0
    assert said in done.stderr
