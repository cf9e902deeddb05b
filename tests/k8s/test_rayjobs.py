"""A large run as a RayJob of the controller's making: whatever of it is killed, no row of its result is another."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.k8s.conftest import has
from tests.k8s.kubectl import Kubectl
from tests.k8s.release import IMAGE, SERVE, Release, installed, until
from tests.running import LABELS, messages, serving, spec
from tornio.api import LabelIn, RecordIn, RunOut
from tornio.schemas.jobs import ScoreOutput
from tornio.schemas.tables import scores_table
from tornio.settings import StorageSettings
from tornio.storage.port import ObjectStore
from tornio.storage.s3 import open_store

pytestmark = pytest.mark.timeout(3600)
TASK = "shop/scored"
ROWS, PART_ROWS = 20_000, 500
DATA = "shop/data/labelled.csv"
JOB_WORKER = "ray.io/node-type=worker,app.kubernetes.io/component=job"
JOB_HEAD = "ray.io/node-type=head,app.kubernetes.io/component=job"
OPERATOR = "app.kubernetes.io/name=kuberay-operator"
KILL_CONTROLLER = """
import os, pathlib
for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
    if path.read_bytes().startswith(b"ray::ServeReplica:tornio:controller"):
        os.kill(int(path.parent.name), 9)
        print("killed")
"""


@pytest.fixture(scope="module")
def release(kubectl: Kubectl, namespace: str, images: dict[str, int]) -> Iterator[Release]:
    has(images, IMAGE)
    with installed(kubectl.within(namespace), {}) as release:
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


def labelled() -> bytes:
    known = list(messages(400).items())
    out = io.StringIO()
    rows = csv.writer(out)
    rows.writerow(["id", "text", "label"])
    for n in range(ROWS):
        record_id, (text, label) = known[n % len(known)]
        rows.writerow([f"{record_id}-{n}", f"{text} {n}", label])
    return out.getvalue().encode()


def test_a_run_outlives_its_pods_the_controller_and_the_operator(
    release: Release, store: ObjectStore, capsys: pytest.CaptureFixture[str]
) -> None:
    store.put(DATA, labelled())
    with release.client() as client:
        client.apply(spec("scored"))
        known = list(messages(60).items())
        client.add_records(TASK, [RecordIn(record_id=i, text=text) for i, (text, _) in known])
        client.import_labels(TASK, [LabelIn(record_id=i, text=text, labels=[label]) for i, (text, label) in known])
        serving(client, TASK, 1, 300)
        asked: dict[str, Any] = {"data": f"s3://tornio/{DATA}", "part_rows": PART_ROWS}
        disturbed = client.start_score(TASK, asked).run
        killed = []
        with _timed() as took:
            for kill in (_kill_worker, _kill_operator, _kill_controller, _kill_head):
                far = _done_so_far(release, disturbed)
                until(lambda: _done_so_far(release, disturbed) > far, 900, "it does not go on")  # noqa: B023
                kill(release)
                killed.append(kill.__name__)
            until(lambda: _ended(release, disturbed), 1800, "it does not end")
        with capsys.disabled():
            print(
                f"\n{ROWS} rows with {', '.join(killed)}: {took[0]:.0f} s, attempt {_run(release, disturbed).attempt}"
            )
    with release.client() as client, _timed() as alone:
        undisturbed = client.start_score(TASK, asked | {"seed": 1}).run
        until(lambda: _ended(release, undisturbed), 1800, "it does not end")
    with capsys.disabled():
        print(f"undisturbed: {alone[0]:.0f} s")
    rows = _rows(store, _run(release, undisturbed))
    assert len(rows) == ROWS
    assert _rows(store, _run(release, disturbed)) == rows


@contextmanager
def _timed() -> Iterator[list[float]]:
    begun, took = time.monotonic(), [0.0]
    yield took
    took[0] = time.monotonic() - begun


def _run(release: Release, run: str) -> RunOut:
    with release.client() as client:
        return client.run(TASK, run)


def _done_so_far(release: Release, run: str) -> int:
    """Rows that are scored."""
    now = _run(release, run)
    assert now.state in ("waiting", "running"), now
    return now.progress.done if now.progress is not None and now.progress.stage.startswith("score") else 0


def _ended(release: Release, run: str) -> bool:
    now = _run(release, run)
    assert now.state in ("waiting", "running", "done"), now
    return now.state == "done"


def _kill_worker(release: Release) -> None:
    _kill_pod(release.kubectl, JOB_WORKER)


def _kill_head(release: Release) -> None:
    _kill_pod(release.kubectl, JOB_HEAD)


def _kill_operator(release: Release) -> None:
    (operator,) = release.kubectl.get("pods", selector=OPERATOR, everywhere=True)
    _kill_pod(release.kubectl.within(operator["metadata"]["namespace"]), OPERATOR)


def _kill_pod(kubectl: Kubectl, selector: str) -> None:
    pod = next(pod for pod in kubectl.get("pods", selector=selector) if "deletionTimestamp" not in pod["metadata"])
    kubectl.run("delete", "pod", pod["metadata"]["name"], "--grace-period=0", "--force")


def _kill_controller(release: Release) -> None:
    said = ""
    for pod in release.pods(SERVE):
        said += release.kubectl.run(
            "exec", pod["metadata"]["name"], "-c", "ray-worker", "--", "python", "-c", KILL_CONTROLLER
        )
    assert "killed" in said


def _rows(store: ObjectStore, run: RunOut) -> list[dict[str, Any]]:
    output = ScoreOutput.model_validate(run.output)
    parts = sorted(store.list(output.scores), key=lambda info: info.key)
    return [
        row
        for info in parts
        for row in scores_table(len(LABELS)).decode(store.get(info.key).body, info.key).to_pylist()
    ]
