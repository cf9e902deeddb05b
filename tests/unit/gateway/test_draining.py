"""A gateway whose cluster was replaced closes connections; one that does not know keeps them."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from services.gateway import draining
from services.gateway.draining import ActiveCluster, Draining
from tests.kube import NAMESPACE, FakeKube
from tests.unit.gateway.fake import AppTransport, FakeBackend, app_of
from tornio.errors import Unavailable
from tornio.kube.port import RAY_SERVICE, Cluster
from tornio.settings import UpgradeSettings

pytestmark = pytest.mark.unit

OURS, NEW = "tornio-abc", "tornio-def"


def active(kube: FakeKube, name: str | None) -> None:
    """KubeRay says that this cluster is the active one."""
    status = {} if name is None else {"activeServiceStatus": {"rayClusterName": name}}
    kube.put(RAY_SERVICE, {"metadata": {"name": "tornio"}, "status": status}, NAMESPACE)


@pytest.fixture
def kube() -> FakeKube:
    return FakeKube()


@pytest.fixture
def ours(kube: FakeKube) -> ActiveCluster:
    settings = UpgradeSettings(rayservice="tornio", ray_cluster_name=OURS, ray_cluster_namespace=NAMESPACE)
    return ActiveCluster(lambda: Cluster(kube, "elsewhere"), settings)


@pytest.fixture
def http(ours: ActiveCluster) -> httpx.Client:
    app = app_of(FakeBackend())
    app.add_middleware(Draining, leaving=ours.leaving)
    return httpx.Client(transport=AppTransport(app), base_url="http://tornio")


def test_each_answer_of_a_replaced_cluster_closes_its_connection(
    kube: FakeKube, ours: ActiveCluster, http: httpx.Client
) -> None:
    active(kube, OURS)
    ours.look()
    assert "connection" not in http.get("/healthz").headers
    active(kube, NEW)
    ours.look()
    for path, status in (("/healthz", 200), ("/v1/tasks", 401), ("/nowhere", 401)):
        answer = http.get(path)
        assert (answer.status_code, answer.headers["connection"]) == (status, "close")
    active(kube, OURS)  # the upgrade was taken back
    ours.look()
    assert "connection" not in http.get("/healthz").headers


def test_what_is_not_known_changes_nothing(kube: FakeKube, ours: ActiveCluster) -> None:
    ours.look()  # there is no such RayService
    assert not ours.leaving()
    active(kube, None)  # it has no active cluster yet
    ours.look()
    assert not ours.leaving()
    active(kube, NEW)
    ours.look()
    assert ours.leaving()
    kube.away = Unavailable("it does not answer")
    ours.look()
    assert ours.leaving()


def test_trouble_is_said_once(kube: FakeKube, ours: ActiveCluster, caplog: pytest.LogCaptureFixture) -> None:
    kube.away = Unavailable("it does not answer")
    for _ in range(3):
        ours.look()
    assert len(caplog.records) == 1


@pytest.mark.parametrize("missing", ["RAYSERVICE", "RAY_CLUSTER_NAME", "RAY_CLUSTER_NAMESPACE"])
def test_without_kubernetes_nothing_runs(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    for name in ("RAYSERVICE", "RAY_CLUSTER_NAME", "RAY_CLUSTER_NAMESPACE"):
        monkeypatch.setenv(name, "x")
    monkeypatch.delenv(missing)
    monkeypatch.setattr(ActiveCluster, "start", lambda _: pytest.fail("it runs"))
    app = FastAPI()
    draining.install(app)
    assert app.user_middleware == []


def test_a_pod_that_is_about_to_end_closes_connections(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORNIO_LEAVING_FILE", str(tmp_path / "leaving"))
    app = app_of(FakeBackend())
    draining.install(app)
    http = httpx.Client(transport=AppTransport(app), base_url="http://tornio")
    assert "connection" not in http.get("/healthz").headers
    (tmp_path / "leaving").touch()
    assert http.get("/healthz").headers["connection"] == "close"
