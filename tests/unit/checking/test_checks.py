"""Each thing that a cluster can lack is told, with what to do."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import pytest

from services.checking import Finding, Level, Wants, check_cluster, resolved
from services.checking.checks import CRDS, POD_MONITORS
from services.checking.wants import GpuGroup, SecretKey
from tests.kube import NAMESPACE, FakeKube
from tornio.cli import main
from tornio.errors import Forbidden, Unavailable
from tornio.kube import port as kinds
from tornio.kube.port import CRD, DEPLOYMENT, NODE, RAY_SERVICE, SECRET, SERVICE_ACCOUNT, Cluster, Json
from tornio.kube.port import SERVICE as SERVICE_KIND
from tornio.storage.memory import MemoryStore

pytestmark = pytest.mark.unit

WANTS = Wants(
    {"s3": frozenset({"id", "key"})},
    frozenset({"labels"}),
    (GpuGroup("train", "nvidia.com/gpu", 2, 2),),
    {"TORNIO_S3_BUCKET": "labels", "AWS_ACCESS_KEY_ID": SecretKey("s3", "id"), "X_FILE": SecretKey("s3", "key")},
    exact=frozenset({SecretKey("s3", "id")}),
)


def crd(name: str, fields: tuple[str, ...]) -> Json:
    spec: dict[str, Any] = {"properties": {}}
    for path in fields:
        at = spec
        for part in path.split("."):
            at = at["properties"].setdefault(part, {"properties": {}})
    schema = {"openAPIV3Schema": {"properties": {"spec": spec}}}
    return {"metadata": {"name": name}, "spec": {"versions": [{"name": "v1", "served": True, "schema": schema}]}}


def operator(image: str, available: int = 1) -> Json:
    labels = {"app.kubernetes.io/name": "kuberay-operator"}
    meta = {"name": "kuberay-operator", "namespace": "ray", "labels": labels}
    template = {"spec": {"containers": [{"image": image}]}}
    return {"metadata": meta, "spec": {"template": template}, "status": {"availableReplicas": available}}


def secret(name: str, **data: str) -> Json:
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    return {"metadata": {"name": name}, "data": encoded}


def node(name: str, gpus: int) -> Json:
    return {"metadata": {"name": name}, "status": {"allocatable": {"cpu": "8", "nvidia.com/gpu": str(gpus)}}}


@pytest.fixture
def kube() -> FakeKube:
    """A cluster with all that is needed."""
    made = FakeKube()
    for name, fields in CRDS.items():
        made.put(CRD, crd(name, fields))
    made.put(DEPLOYMENT, operator("quay.io/kuberay/operator:v1.6.1"), "ray")
    made.put(SECRET, secret("s3", id="me", key="secret"), NAMESPACE)
    made.put(NODE, node("a", 4))
    made.put(kinds.NAMESPACE, {"metadata": {"name": NAMESPACE}})
    made.put(SERVICE_ACCOUNT, {"metadata": {"name": "labels"}}, NAMESPACE)
    return made


def found(kube: FakeKube, wants: Wants = WANTS) -> list[Finding]:
    return list(check_cluster(Cluster(kube, NAMESPACE), wants))


def only(findings: list[Finding]) -> Finding:
    """The one that is not well."""
    (one,) = (finding for finding in findings if finding.level is not Level.OK)
    assert one.todo
    return one


def test_a_cluster_that_has_everything(kube: FakeKube) -> None:
    assert {finding.level for finding in found(kube)} == {Level.OK}


def test_a_cluster_without_kuberay() -> None:
    *findings, namespace = found(FakeKube(), Wants())
    assert namespace.todo == f"kubectl create namespace {NAMESPACE}"
    assert [finding.level for finding in findings] == [Level.MISSING] * 4
    assert all("helm install kuberay-operator" in finding.todo for finding in findings)


def test_crds_that_helm_did_not_upgrade(kube: FakeKube) -> None:
    kube.put(CRD, crd("rayjobs.ray.io", ("backoffLimit",)))
    one = only(found(kube))
    assert "lacks the fields preRunningDeadlineSeconds, rayClusterSpec.authOptions" in one.found
    assert "helm never upgrades CRDs" in one.todo


@pytest.mark.parametrize(
    ("image", "available", "level", "says"),
    [
        ("quay.io/kuberay/operator:v1.4.2", 1, Level.MISSING, "1.4.2"),
        ("quay.io/kuberay/operator:v1.6.1", 0, Level.MISSING, "no running pod"),
        ("registry:5000/operator@sha256:abc", 1, Level.UNKNOWN, "has no version"),
        ("registry:5000/kuberay:1.10.0@sha256:abc", 1, Level.OK, "1.10.0"),
    ],
)
def test_the_operator(kube: FakeKube, image: str, available: int, level: Level, says: str) -> None:
    kube.put(DEPLOYMENT, operator(image, available), "ray")
    (one,) = (finding for finding in found(kube) if finding.what == "KubeRay operator")
    assert one.level is level
    assert says in one.found


def test_an_account_that_nobody_makes(kube: FakeKube) -> None:
    kube.objects.pop(("ServiceAccount", NAMESPACE, "labels"))
    one = only(found(kube))
    assert f"it does not exist in namespace {NAMESPACE}" in one.found
    assert "serviceAccount.create" in one.todo


def test_a_namespace_that_goes(kube: FakeKube) -> None:
    kube.put(kinds.NAMESPACE, {"metadata": {"name": NAMESPACE, "deletionTimestamp": "2026-11-01T00:00:00Z"}})
    assert only(found(kube)).found == "it is being deleted"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"id": "me"}, "lacks the keys key; it has id"),
        ({"id": "me", "key": ""}, "key are empty"),
        ({"id": "me", "key": "\n"}, "key hold only spaces or newlines"),
        ({"id": "me\n", "key": "secret"}, "id begin or end with a space or newline"),
    ],
)
def test_a_secret_that_lacks_a_key(kube: FakeKube, data: dict[str, str], says: str) -> None:
    kube.put(SECRET, secret("s3", **data), NAMESPACE)
    one = only(found(kube))
    assert says in one.found
    assert f"kubectl -n {NAMESPACE} create secret generic s3 --from-literal=id=... --from-literal=key=..." in one.todo


def test_a_newline_in_a_file_does_no_harm(kube: FakeKube) -> None:
    """Tornio strips what it reads from files."""
    kube.put(SECRET, secret("s3", id="me", key="secret\n"), NAMESPACE)
    assert {finding.level for finding in found(kube)} == {Level.OK}


def test_a_pod_monitor_needs_its_crd(kube: FakeKube) -> None:
    wants = replace(WANTS, pod_monitor=True)
    assert "podMonitor.enabled=false" in only(found(kube, wants)).todo
    kube.put(CRD, crd(POD_MONITORS, ()))
    assert {finding.level for finding in found(kube, wants)} == {Level.OK}


def test_a_redis_that_is_no_service(kube: FakeKube) -> None:
    wants = replace(WANTS, redis="redis:6379")
    assert f"there is no Service redis in namespace {NAMESPACE}" in only(found(kube, wants)).found
    kube.put(SERVICE_KIND, {"metadata": {"name": "redis"}, "spec": {"ports": [{"port": 6380}]}}, NAMESPACE)
    assert "it is a Service" not in only(found(kube, wants)).found
    kube.put(SERVICE_KIND, {"metadata": {"name": "redis"}, "spec": {"ports": [{"port": 6379}]}}, NAMESPACE)
    assert {finding.level for finding in found(kube, wants)} == {Level.OK}


def test_a_secret_of_another_namespace_is_none(kube: FakeKube) -> None:
    kube.objects.pop(("Secret", NAMESPACE, "s3"))
    kube.put(SECRET, secret("s3", id="me", key="secret"), "elsewhere")
    assert f"it does not exist in namespace {NAMESPACE}" in only(found(kube)).found


@pytest.mark.parametrize(
    ("gpus", "level", "says"),
    [
        ([0], Level.NOTE, "no node offers nvidia.com/gpu"),
        ([1, 1], Level.MISSING, "no node has 2"),
        ([3], Level.NOTE, "room for 1 workers"),
        ([3, 2], Level.OK, "room for 2 workers"),
    ],
)
def test_gpus_against_the_groups_that_want_them(kube: FakeKube, gpus: list[int], level: Level, says: str) -> None:
    for number, count in enumerate(gpus):
        kube.put(NODE, node("a" * (number + 1), count))
    (one,) = (finding for finding in found(kube) if finding.what.startswith("GPUs"))
    assert one.level is level
    assert says in one.found


def test_an_account_that_may_not_look_is_told_so() -> None:
    findings = found(FakeKube(away=Forbidden("secrets is forbidden")))
    assert {finding.level for finding in findings} == {Level.UNKNOWN}
    assert all("administrator" in finding.todo for finding in findings)


def test_an_api_that_does_not_answer_ends_the_check() -> None:
    with pytest.raises(Unavailable):
        found(FakeKube(away=Unavailable("it does not answer")))


def test_the_environment_of_the_deployment_with_its_secrets(kube: FakeKube) -> None:
    cluster = Cluster(kube, NAMESPACE)
    assert resolved(cluster, WANTS) == {"TORNIO_S3_BUCKET": "labels", "AWS_ACCESS_KEY_ID": "me", "X": "secret"}
    kube.away = Forbidden("secrets is forbidden")
    assert resolved(cluster, WANTS) == {"TORNIO_S3_BUCKET": "labels"}


SERVICE: dict[str, Any] = {
    "kind": "RayService",
    "metadata": {"name": "tornio"},
    "spec": {
        "rayClusterConfig": {
            "headGroupSpec": {
                "template": {"spec": {"containers": [{"env": [{"name": "TORNIO_S3_BUCKET", "value": "labels"}]}]}}
            }
        }
    },
}


@pytest.fixture
def command(kube: FakeKube, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    monkeypatch.setattr("tornio.kube.client.connect", lambda settings: Cluster(kube, settings.namespace or NAMESPACE))
    monkeypatch.setattr("services.checking.outside.open_store", lambda settings: MemoryStore())
    monkeypatch.setattr("services.checking.outside.check_bucket", lambda settings: None)
    monkeypatch.setenv("COLUMNS", "200")
    for name in ("TORNIO_S3_BUCKET", "TORNIO_ARGILLA_URL", "TORNIO_KUBE_NAMESPACE", "RAYSERVICE"):
        monkeypatch.delenv(name, raising=False)

    def run(*words: str) -> tuple[int, str]:
        code = main(["deploy", "check", *words])
        return code, capsys.readouterr().out

    return run


def test_the_command_reads_what_is_installed(kube: FakeKube, command: Any) -> None:
    code, out = command()
    assert code == 1
    assert "there is no RayService in namespace team" in out
    assert "missing S3: TORNIO_S3_BUCKET is not set" in out
    kube.put(RAY_SERVICE, SERVICE, NAMESPACE)
    code, out = command()
    assert code == 0
    assert "note    Argilla: TORNIO_ARGILLA_URL is not set, so no labelling loop runs" in out
    assert "ok      S3 bucket labels: exactly one of several concurrent writers wins" in out


def test_manifests_without_a_rayservice_are_said_to_be_none_of_ours(command: Any, tmp_path: Any) -> None:
    (tmp_path / "other.yaml").write_text("kind: ConfigMap\n")
    code, out = command("--manifest", str(tmp_path / "other.yaml"))
    assert code == 1
    assert "RayService: there is no RayService in these manifests" in out


def test_in_a_pod_it_looks_at_its_own_release_alone_and_reads_the_files_of_its_keys(
    kube: FakeKube, command: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    (tmp_path / "key").write_text("the-key\n")
    monkeypatch.setenv("RAYSERVICE", "tornio")
    monkeypatch.setenv("TORNIO_ARGILLA_API_KEY_FILE", str(tmp_path / "key"))
    monkeypatch.setenv("TORNIO_API_KEYS_FILE", str(tmp_path / "not mounted here"))
    (tmp_path / "credentials").write_bytes(b"\xff")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))  # boto3 reads it, nobody else
    outside: dict[str, str] = {}

    def look(environment: dict[str, str], wants: Wants, inside: bool) -> list[Finding]:
        outside.update(environment)
        assert inside
        return [Finding(Level.OK, "S3 bucket labels", "fine"), Finding(Level.OK, "Argilla", "fine")]

    monkeypatch.setattr("services.checking.check_outside", look)
    kube.put(RAY_SERVICE, SERVICE, NAMESPACE)
    code, out = command()
    assert code == 0
    first, second, rest, _ = out.splitlines()
    assert ("S3 bucket labels" in first, "Argilla" in second) == (True, True)
    assert "the account of a serving pod may not read them" in rest
    assert kube.calls == ["get rayservices"]
    assert (outside["TORNIO_S3_BUCKET"], outside["TORNIO_ARGILLA_API_KEY"]) == ("labels", "the-key")
    assert "AWS_SHARED_CREDENTIALS" not in outside


def test_a_key_file_of_this_shell_that_cannot_be_read_is_a_finding(
    command: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    (tmp_path / "key").write_bytes(b"\xff")
    monkeypatch.setenv("TORNIO_ARGILLA_API_KEY_FILE", str(tmp_path / "key"))
    code, out = command()
    assert code == 1
    assert f"API key of Argilla: {tmp_path / 'key'} cannot be read (UnicodeDecodeError)" in out


def test_an_account_that_may_not_see_the_release_is_told_so(
    kube: FakeKube, command: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise Forbidden("list rayservices")

    monkeypatch.setattr("tornio.cli.deploy._installed", refuse)
    code, out = command()
    assert code == 1
    assert "RayService: this account may not read it (list rayservices)" in out
    assert "TORNIO_S3_BUCKET is not set" in out


def test_the_command_reads_manifests_before_they_are_installed(command: Any, tmp_path: Any) -> None:
    path = tmp_path / "all.yaml"
    path.write_text("kind: Pod\nspec: {imagePullSecrets: [{name: registry}]}\n---\n")
    code, out = command("--manifest", str(path), "-n", "elsewhere")
    assert code == 1
    assert "Secret registry: it does not exist in namespace elsewhere" in out


def test_what_could_not_be_checked_is_neither_right_nor_wrong(
    kube: FakeKube, command: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    kube.put(RAY_SERVICE, SERVICE, NAMESPACE)
    monkeypatch.setenv("TORNIO_ARGILLA_URL", "http://127.0.0.1:1")
    code, out = command()
    assert code == 3
    assert "?       Argilla at http://127.0.0.1:1" in out
    kube.objects.pop(("CustomResourceDefinition", None, "rayjobs.ray.io"))
    assert command()[0] == 1
