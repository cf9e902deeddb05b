"""The chart on a cluster, from an empty namespace with Pod Security "restricted" to predictions, and what happens to a
release afterwards. The services beside it are those of k8s/dev. In order: each test goes on with the same release."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import time
from contextlib import suppress

import httpx
import pytest

from services.embedded.argilla_users import ensure_user
from tests.annotating import Annotator, whole_batch
from tests.chart import TASK
from tests.k8s.kubectl import Kubectl, Refused
from tests.k8s.release import KEY, SERVE, Argilla, Release, until
from tests.running import labelled_csv, messages, served_task
from tornio.storage.port import ObjectStore

pytestmark = pytest.mark.timeout(1800)
POOL, POOL_ROWS = "acme/data/reviews.csv", 40
TASKS = {"reviews": TASK | {"pool": f"s3://tornio/{POOL}"}}


def test_it_serves(release: Release, capsys: pytest.CaptureFixture[str]) -> None:
    begun = time.monotonic()
    said = release.kubectl.helm("test", "tornio", "--logs", "--timeout", "15m")
    assert "zero-shot: {" in said
    with capsys.disabled():
        print(f"\nhelm install -> Ready {release.ready_s:.0f} s, helm test {time.monotonic() - begun:.0f} s")


def test_every_pod_was_admitted(release: Release) -> None:
    said = [event["message"] for event in release.kubectl.get("events")]
    refused = [message for message in said if "PodSecurity" in message or "forbidden" in message]
    assert refused == []
    found = release.kubectl.get("pods")
    assert {"head", "worker"} <= {pod["metadata"]["labels"].get("ray.io/node-type") for pod in found}
    for pod in found:
        for container in pod["spec"]["containers"] + pod["spec"].get("initContainers", []):
            assert container["securityContext"]["readOnlyRootFilesystem"], container["name"]


def test_what_is_missing_is_said(release: Release, store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _check(release, monkeypatch) == []
    key = release.kubectl.get("secret", "tornio-dev")["data"]["api-key"]
    _patch_secret(release.kubectl, {"api-key": None})
    lacking = _check(release, monkeypatch)
    _patch_secret(release.kubectl, {"api-key": key})
    (secret,) = (finding for finding in lacking if finding["what"] == "Secret tornio-dev")
    assert "lacks the keys api-key" in secret["found"]
    assert "kubectl" in secret["todo"]


def test_a_secret_with_a_newline_and_keys_that_are_no_json_are_said(
    release: Release, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = release.kubectl.get("secret", "tornio-dev")["data"]
    _patch_secret(release.kubectl, {"access-key-id": _encoded("tornio-dev\n"), "keys.json": _encoded("{no json")})
    found = {finding["what"]: finding["found"] for finding in _check(release, monkeypatch)}
    _patch_secret(release.kubectl, {name: before[name] for name in ("access-key-id", "keys.json")})
    assert "access-key-id begin or end with a space or newline" in found["Secret tornio-dev"]
    assert "is not JSON" in found["API keys"]


def test_in_a_pod_what_it_can_check_is_checked(release: Release) -> None:
    (pod, *_) = release.kubectl.pods(SERVE)
    check = ("exec", pod["metadata"]["name"], "-c", "ray-worker", "--", "tornio", "deploy", "check")
    # Kubernetes takes a minute to give the pods the keys that the test before has put back.
    until(lambda: _is_well(release.kubectl, *check), 150, "the check finds something missing")
    said = release.kubectl.run(*check)
    assert said.startswith("ok      S3 bucket tornio")
    assert "Argilla at http://tornio-dev:6900: version" in said
    assert "Redis at tornio-dev:6379: its port answers" in said


def _is_well(kubectl: Kubectl, *command: str) -> bool:
    with suppress(Refused):
        kubectl.run(*command)
        return True
    return False


def _check(release: Release, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    """Whatever `tornio deploy check` does not find well."""
    command = [sys.executable, "-m", "tornio", "deploy", "check", "-n", release.kubectl.namespace, "--json"]
    with release.kubectl.forwarded("svc/tornio-dev", 6900) as argilla:
        monkeypatch.setenv("TORNIO_ARGILLA_URL", argilla)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    findings = json.loads(done.stdout)["findings"]
    assert {"S3 bucket tornio", f"Argilla at {argilla}"} <= {one["what"] for one in findings}
    bad: list[dict[str, str]] = [one for one in findings if one["level"] not in ("ok", "note")]
    wrong = any(one["level"] == "missing" for one in bad)
    assert done.returncode == (1 if wrong else 3 if bad else 0), done.stderr
    return bad


def _patch_secret(kubectl: Kubectl, data: dict[str, str | None]) -> None:
    """Values in base64; None takes the key away."""
    kubectl.run("patch", "secret", "tornio-dev", "--type=merge", "-p", json.dumps({"data": data}))


def _encoded(value: str) -> str:
    return base64.b64encode(value.encode()).decode()


def test_tasks_are_applied_in_place_and_never_deleted(release: Release, store: ObjectStore) -> None:
    store.put(POOL, labelled_csv(POOL_ROWS, messages(POOL_ROWS)))
    before = release.cluster()
    assert release.ask("/v1/tasks/acme/reviews").status_code == 404
    release.upgrade({"tasks": TASKS})
    release.upgrade({"tasks": TASKS})  # again, which changes nothing
    release.upgrade({"tasks": {"questions": TASKS["reviews"] | {"name": "questions"}}})
    reviews = release.ask("/v1/tasks/acme/reviews").json()
    assert reviews["spec_rev"] == 1
    assert reviews["pool"] == POOL_ROWS
    assert release.ask("/v1/tasks/acme/questions").status_code == 200
    assert release.cluster() == before


def test_more_replicas_make_no_second_cluster(release: Release) -> None:
    before = release.cluster()
    release.upgrade({"classifier": {"minReplicas": 2}})
    until(lambda: _replicas(release) >= 2, 300, "the second classifier did not come")
    status = release.status()
    assert release.cluster() == before
    assert not status.get("pendingServiceStatus", {}).get("rayClusterName")


def _replicas(release: Release) -> int:
    with release.kubectl.forwarded("svc/tornio-serve-svc", 8000) as url:
        answer = httpx.get(f"{url}/v1/tasks/acme/reviews", headers={"Authorization": f"Bearer {KEY}"}, timeout=30)
    return len(answer.json().get("replicas", []))


def test_keys_of_s3_and_argilla_are_exchanged_by_a_new_cluster(
    release: Release, capsys: pytest.CaptureFixture[str]
) -> None:
    here = release.kubectl
    make = "s3.configure -user=next -access_key=next -secret_key=next-secret -actions=Admin,Read,Write,List -apply"
    here.run("exec", "-i", "deploy/tornio-dev", "-c", "s3", "--", "weed", "shell", given=make)
    with here.forwarded("svc/tornio-dev", 6900) as url:
        first = Argilla(url).argilla_api_key
        admin = ensure_user(url, first, "tornio-admin", role="admin", workspaces=("shop",))
        owner = ensure_user(url, first, "another-owner", role="owner")
    keys = {"access-key-id": "next", "secret-access-key": "next-secret", "api-key": admin.api_key}
    _patch_secret(here, {name: _encoded(value) for name, value in keys.items()})
    took = release.replace({"secretsRevision": 1})
    release.wait_for_one()
    with here.forwarded("svc/tornio-dev", 6900) as url:
        _remove_user(url, "tornio", owner.api_key)  # with it the first key of Argilla goes
        for pod in here.pods(SERVE):
            said = here.run("exec", pod["metadata"]["name"], "-c", "ray-worker", "--", "printenv", "AWS_ACCESS_KEY_ID")
            assert said.strip() == "next"
        with release.client() as client, Annotator(Argilla(url, owner.api_key), "shop") as annotator:
            task = served_task(client, "after-the-exchange", messages(90), 300)
            assert whole_batch(client, annotator, task)
    with capsys.disabled():
        print(f"\nanother cluster with other keys of S3 and Argilla after {took:.0f} s")


def _remove_user(url: str, name: str, owner_key: str) -> None:
    with httpx.Client(base_url=f"{url}/api/v1", headers={"X-Argilla-Api-Key": owner_key}, timeout=30) as http:
        (user,) = (each for each in http.get("/users").json()["items"] if each["username"] == name)
        http.delete(f"/users/{user['id']}").raise_for_status()


def test_api_keys_are_exchanged_without_a_restart(release: Release, capsys: pytest.CaptureFixture[str]) -> None:
    new = "another-client-key-of-tornio-dev"

    def allow(*keys: str) -> None:
        entries = [{"name": key, "key": key, "workspaces": ["*"], "role": "operate"} for key in keys]
        _patch_secret(release.kubectl, {"keys.json": _encoded(json.dumps(entries))})

    assert release.ask("/v1/tasks", new).status_code == 401
    allow(KEY, new)
    took = until(lambda: release.ask("/v1/tasks", new).status_code == 200, 240, "the new key is not known")
    assert release.ask("/v1/tasks").status_code == 200
    allow(new)
    until(lambda: release.ask("/v1/tasks").status_code == 401, 240, "the old key is still good")
    with capsys.disabled():
        print(f"\na new API key was known after {took:.0f} s")


def test_uninstalling_keeps_data(release: Release, store: ObjectStore, capsys: pytest.CaptureFixture[str]) -> None:
    before = _keys(store)
    release.kubectl.helm("uninstall", "tornio", "--wait", "--timeout", "5m")
    took = until(lambda: not release.kubectl.get("rayclusters"), 180, "the cluster does not go")
    assert "acme/tasks/reviews/task.json" in before
    assert before <= _keys(store)
    with capsys.disabled():
        print(f"\ngone {took:.0f} s after helm uninstall, data kept")


def _keys(store: ObjectStore) -> set[str]:
    """Of everything in the bucket, but what ends with its writers."""
    return {info.key for info in store.list("") if "/tasks/" in info.key}
