"""A cluster that KUBECONFIG names, and a namespace of it with Pod Security "restricted" enforced, gone at the end."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from uuid import uuid4

import pytest

from tests.k8s.kubectl import Kubectl
from tests.k8s.release import IMAGE, Release, installed
from tornio.settings import StorageSettings
from tornio.storage.port import ObjectStore
from tornio.storage.s3 import open_store


@pytest.fixture(scope="session")
def kubectl() -> Kubectl:
    """Skips, and says so, where there is no cluster to be had."""
    for program in ("kubectl", "helm"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed: nothing is shown on a cluster")
    asked = subprocess.run(
        ["kubectl", "get", "--raw", "/readyz", "--request-timeout=10s"], capture_output=True, text=True, check=False
    )
    if asked.stdout != "ok":
        pytest.skip(f"no Kubernetes answers (set KUBECONFIG): {asked.stderr.strip()[-200:]}")
    kinds = Kubectl().run("api-resources", "-o", "name").split()
    if "rayservices.ray.io" not in kinds:
        pytest.skip("this Kubernetes does not know RayService: install KubeRay's CRDs")
    return Kubectl()


@pytest.fixture(scope="module")
def namespace(kubectl: Kubectl) -> Iterator[str]:
    name = f"tornio-test-{uuid4().hex[:6]}"
    labels = {
        "pod-security.kubernetes.io/enforce": "restricted",
        "pod-security.kubernetes.io/enforce-version": "latest",
    }
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
    kubectl.run("create", "-f", "-", given=json.dumps(body))
    try:
        deadline = time.monotonic() + 60
        while not kubectl.run("-n", name, "get", "serviceaccount", "default", "--ignore-not-found"):
            assert time.monotonic() < deadline, "the namespace got no account"
            time.sleep(0.5)
        yield name
    finally:
        kubectl.run("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="session")
def images(kubectl: Kubectl) -> dict[str, int]:
    """Images that nodes have, by name, and their bytes. Skips where there is no node that could run anything."""
    nodes = kubectl.get("nodes")
    if not nodes:
        pytest.skip("this is an API server without a node: nothing is run")
    found = [image for node in nodes for image in node["status"]["images"]]
    return {
        name: image["sizeBytes"] for image in found for name in image["names"] or ()
    }  # none: its tag was taken away


def has(images: dict[str, int], name: str) -> None:
    """Skips unless a node has the image."""
    if not any(known.endswith(name) for known in images):
        pytest.skip(f"no node has the image {name}: build it (see Dockerfile) and load it")


@pytest.fixture(scope="module")
def release(
    request: pytest.FixtureRequest, kubectl: Kubectl, namespace: str, images: dict[str, int]
) -> Iterator[Release]:
    """One for each module, with its ``VALUES``."""
    has(images, IMAGE)
    with installed(kubectl.within(namespace), getattr(request.module, "VALUES", {})) as release:
        yield release


@pytest.fixture
def store(release: Release, monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectStore]:
    """The bucket of the release."""
    with release.kubectl.forwarded("svc/tornio-dev", 8333) as url:
        settings = {
            "TORNIO_S3_ENDPOINT": url,
            "TORNIO_S3_BUCKET": "tornio",
            "AWS_ACCESS_KEY_ID": "tornio-dev",
            "AWS_SECRET_ACCESS_KEY": "tornio-dev-secret",
        }
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        yield open_store(StorageSettings())
