"""Where the Kubernetes API is found, and what its refusals become."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from tornio.errors import (
    AlreadyExists,
    Forbidden,
    InvalidInput,
    NotFound,
    TornioError,
    Unauthorized,
    Unavailable,
)
from tornio.kube import client as kube_client
from tornio.kube.client import connect
from tornio.kube.port import RAY_JOB, SECRET
from tornio.settings import KubeSettings

pytestmark = pytest.mark.unit


@pytest.fixture
def kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of a cluster where nobody answers."""
    path = tmp_path / "config"
    contexts = [
        {"name": "plain", "context": {"cluster": "c", "user": "u"}},
        {"name": "team", "context": {"cluster": "c", "user": "u", "namespace": "team"}},
    ]
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "team",
        "contexts": contexts,
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
    }
    path.write_text(yaml.safe_dump(config))
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(path))
    monkeypatch.setattr(kube_client, "ACCOUNT", tmp_path / "no-pod")
    for name in ("TORNIO_KUBE_CONTEXT", "TORNIO_KUBE_NAMESPACE"):
        monkeypatch.delenv(name, raising=False)
    return path


@pytest.mark.parametrize(
    ("settings", "namespace"),
    [
        (KubeSettings(), "team"),
        (KubeSettings(context="plain"), "default"),
        (KubeSettings(context="plain", namespace="mine"), "mine"),
    ],
)
def test_the_namespace_is_that_of_the_settings_or_of_the_context(
    kubeconfig: Path, settings: KubeSettings, namespace: str
) -> None:
    assert connect(settings).namespace == namespace


def test_no_kubeconfig_and_no_such_context_are_told(kubeconfig: Path) -> None:
    with pytest.raises(InvalidInput, match="elsewhere"):
        connect(KubeSettings(context="elsewhere"))
    kubeconfig.unlink()
    with pytest.raises(InvalidInput, match="Set KUBECONFIG"):
        connect(KubeSettings())


def test_an_api_that_does_not_answer_is_unavailable(kubeconfig: Path) -> None:
    api = connect().api
    for call in (
        lambda: api.get(RAY_JOB, "x", "team"),
        lambda: api.list(SECRET, "team"),
        lambda: api.create(RAY_JOB, {"metadata": {"name": "x"}}, "team"),
        lambda: api.delete(RAY_JOB, "x", "team"),
    ):
        with pytest.raises(Unavailable, match="does not respond"):
            call()


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, Unauthorized),
        (403, Forbidden),
        (404, NotFound),
        (409, AlreadyExists),
        (422, InvalidInput),
        (429, Unavailable),
        (503, Unavailable),
        (0, Unavailable),
    ],
)
def test_a_refusal_is_one_of_our_errors_in_the_api_s_words(status: int, error: type[TornioError]) -> None:
    told = kube_client._translated(status, json.dumps({"kind": "Status", "message": "rayjobs.ray.io says no"}))
    assert type(told) is error
    assert "rayjobs.ray.io says no" in str(told)
    assert "<html>" in str(kube_client._translated(status, "<html>"))
