"""Large runs as RayJobs of the controller's making: whatever of them is killed, no row of their result is another.

In order: the tests go on with the same release, and the last one ends it. Figures are printed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests import running
from tests.k8s.release import SERVE, Release, until
from tests.running import LABELS, labelled_csv, messages, served_task, serving, spec
from tornio.api import AdaptRequest, CompareRequest, LabelIn, RecordIn, RunOut
from tornio.errors import Unavailable
from tornio.schemas.comparison import CompareOutput
from tornio.schemas.jobs import AdaptOutput
from tornio.schemas.keys import run_of
from tornio.schemas.scoring import ScoreOutput
from tornio.schemas.tables import scores_table
from tornio.storage.port import ObjectStore

pytestmark = pytest.mark.timeout(3600)
VALUES: dict[str, Any] = {
    "env": {"TORNIO_JOB_LARGE_TEXTS": "2000"},  # fewer than a short fine-tuning passes through its encoder
    "jobs": {"ttlSeconds": 10},  # a cluster that is done makes room
}
TASK, TUNED = "shop/scored", "shop/tuned"
ROWS, PART_ROWS = 20_000, 500
DATA = "shop/data/labelled.csv"
JOB_WORKER = "ray.io/node-type=worker,app.kubernetes.io/component=job"
JOB_HEAD = "ray.io/node-type=head,app.kubernetes.io/component=job"
OPERATOR = "kuberay-operator"
"""Begins the names of its pods; its labels are another chart's."""
KILL_CONTROLLER = """
import os, pathlib
for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
    if path.read_bytes().startswith(b"ray::ServeReplica:tornio:controller"):
        os.kill(int(path.parent.name), 9)
        print("killed")
"""


@pytest.fixture
def data(release: Release, store: ObjectStore) -> str:
    """Address of the rows to score, with the task that scores them."""
    store.put(DATA, labelled_csv(ROWS, messages(400)))
    with release.client() as client:
        served_task(client, TASK.split("/")[1], messages(80), 300)
    return f"s3://tornio/{DATA}"


def test_a_run_outlives_its_pods_the_controller_and_the_operator(
    release: Release, store: ObjectStore, data: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with release.client() as client:
        asked: dict[str, Any] = {"data": data, "part_rows": PART_ROWS}
        disturbed = client.start_run(TASK, asked).run
    attempts = {}
    with _timed() as took:
        for kill in (_kill_worker, _kill_head, _kill_operator, _kill_controller):
            far = _done_so_far(release, disturbed)
            until(lambda: _done_so_far(release, disturbed) > far, 900, "it does not go on")  # noqa: B023
            attempts[kill] = _run(release, disturbed).attempt
            kill(release, disturbed)
        until(lambda: _ended(release, disturbed), 1800, "it does not end")
    with capsys.disabled():
        killed = ", ".join(kill.__name__ for kill in attempts)
        print(f"\n{ROWS} rows with {killed}: {took[0]:.0f} s, attempt {_run(release, disturbed).attempt}")
    assert attempts[_kill_operator] > attempts[_kill_head], "the head was lost too late to cost anything"
    with release.client() as client, _timed() as alone:
        undisturbed = client.start_run(TASK, asked | {"seed": 1}).run
        until(lambda: _ended(release, undisturbed), 1800, "it does not end")
    with capsys.disabled():
        print(f"undisturbed: {alone[0]:.0f} s")
    rows = _rows(store, _run(release, undisturbed))
    assert len(rows) == ROWS
    assert _rows(store, _run(release, disturbed)) == rows


def test_fine_tuning_is_a_rayjob_too_and_outlives_its_head(
    release: Release, store: ObjectStore, capsys: pytest.CaptureFixture[str]
) -> None:
    task = spec("tuned", classifier={"kind": "fine-tuned", "fine_tuning": {"epochs": 15}})
    labels = [LabelIn(record_id=i, text=text, labels=[label]) for i, (text, label) in messages(60).items()]
    with release.client() as client:
        client.apply(task)
        client.import_labels(TUNED, labels)
    with _timed() as took:
        run = running.until(lambda: _training(release, store), "a RayJob trains", 300, pause=2)
        _kill_head(release, run)
        with release.client() as client:
            status = serving(client, TUNED, 1, 900)
            (version,) = client.versions(TUNED)
    with capsys.disabled():
        print(f"\na fine-tuning whose head was killed: {took[0]:.0f} s")
    assert status.serving
    assert version.kind == "fine-tuned"
    assert store.head(run_of("shop", "tuned", run).started(2)) is not None, (
        "the head was lost too late to cost anything"
    )


def test_adapting_and_comparing_are_rayjobs_too(release: Release, capsys: pytest.CaptureFixture[str]) -> None:
    """On the labels and texts of the task that the test before has made."""
    texts = [RecordIn(record_id=i, text=text) for i, (text, _) in messages(200).items()]
    with release.client() as client:
        client.add_records(TUNED, texts)
        adapt = client.start_run(TUNED, AdaptRequest(name="minilm-shop", epochs=10)).run
        compare = client.start_run(TUNED, CompareRequest(kinds=("few-shot",), sizes=("10", "20"), seeds=2)).run
    with _timed() as took:
        for run in (adapt, compare):
            until(lambda: _rayjobs(release, run), 300, "it makes no RayJob")  # noqa: B023
        until(lambda: _ended(release, adapt, TUNED) and _ended(release, compare, TUNED), 1800, "they do not end")
    with capsys.disabled():
        print(f"\nan adaptation and a comparison: {took[0]:.0f} s")
    adapted = AdaptOutput.model_validate(_run(release, adapt, TUNED).output)
    assert adapted.loss_after < adapted.loss_before
    compared = CompareOutput.model_validate(_run(release, compare, TUNED).output)
    assert {row.size for row in compared.rows} >= {10, 20}
    with release.client() as client:
        client.apply(spec("on-adapted", classifier={"encoder": adapted.name}))


def test_the_command_too_may_be_killed(
    release: Release, store: ObjectStore, data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`tornio score --on kuberay` while its RayJob runs; the second time with the controller and the operator."""
    template, output = tmp_path / "rayjob.json", tmp_path / "scores.jsonl"
    template.write_text(release.kubectl.get("configmap", "tornio-jobs")["data"]["rayjob.json"])
    words = ["--on", "kuberay", "--job-template", str(template), "--task", TASK, "--data", data, "--seed", "3"]
    words += ["--json", "-o", str(output)]
    before = _rayjobs(release)
    with _timed() as took:
        with _scoring(release, words):
            (name,) = running.until(lambda: _rayjobs(release) - before, "it makes a RayJob", 300)
        run = str(release.kubectl.get("rayjob", name)["metadata"]["labels"]["tornio/run"])
        with _scoring(release, words) as second:
            until(lambda: _done_so_far(release, run), 900, "no rows are scored")
            assert second.poll() is None, "it ended by itself"
            _kill_operator(release, run)
            _kill_controller(release, run)
        assert not _ended(release, run), "it ended before anything was killed"
        with _scoring(release, words) as third:
            said, _ = third.communicate(timeout=1800)
    with capsys.disabled():
        print(f"\n{ROWS} rows by a command that was killed twice, the operator and the controller: {took[0]:.0f} s")
    assert json.loads(said)["run"] == run
    assert len(output.read_text().splitlines()) == ROWS
    keys = run_of("shop", "scored", run)
    assert store.head(keys.started(2)) is None, "it was begun twice"
    result = store.get(keys.result)
    with _scoring(release, words) as fourth:
        assert fourth.communicate(timeout=300)[0] == said
    assert store.get(keys.result) == result
    assert _rayjobs(release) - before == {name}


def test_a_release_that_goes_takes_its_runs_with_it(release: Release, data: str) -> None:
    with release.client() as client:
        run = client.start_run(TASK, {"data": data, "part_rows": PART_ROWS, "seed": 2}).run
    until(lambda: _done_so_far(release, run), 900, "it does not begin")
    release.kubectl.helm("uninstall", "tornio", "--wait", "--timeout", "5m")
    until(lambda: not release.kubectl.get("rayjobs", selector=f"tornio/run={run}"), 300, "its RayJob stays")
    until(lambda: not release.kubectl.get("rayclusters"), 300, "clusters stay")


@contextmanager
def _scoring(release: Release, words: list[str]) -> Iterator[subprocess.Popen[str]]:
    """The command, outside of the cluster; killed where it still runs at the end of the block."""
    command = [sys.executable, "-m", "tornio", "score", *words]
    where = os.environ | {"TORNIO_KUBE_NAMESPACE": release.kubectl.namespace}
    with subprocess.Popen(command, env=where, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def _rayjobs(release: Release, run: str = "") -> set[str]:
    """The names of the RayJobs, or of those of one run."""
    selector = f"tornio/run={run}" if run else ""
    return {job["metadata"]["name"] for job in release.kubectl.get("rayjobs", selector=selector)}


def _training(release: Release, store: ObjectStore) -> str | None:
    """The run of the RayJob that trains, once its first attempt has begun."""
    for job in release.kubectl.get("rayjobs", selector="tornio/job=train"):
        run = str(job["metadata"]["labels"]["tornio/run"])
        if store.head(run_of("shop", "tuned", run).started(1)) is not None:
            return run
    return None


@contextmanager
def _timed() -> Iterator[list[float]]:
    begun, took = time.monotonic(), [0.0]
    yield took
    took[0] = time.monotonic() - begun


def _run(release: Release, run: str, task: str = TASK) -> RunOut:
    """Asked again where no answer comes: two clusters share a small node, and a forwarded port hangs at times."""

    def look() -> RunOut | None:
        try:
            with release.client() as client:
                return client.run(task, run)
        except Unavailable:
            return None

    return running.until(look, "what has become of the run is told", 300, pause=2)


def _done_so_far(release: Release, run: str) -> int:
    """Rows that are scored."""
    now = _run(release, run)
    assert now.state in ("waiting", "running"), now
    return now.progress.done if now.progress is not None and now.progress.stage.startswith("score") else 0


def _ended(release: Release, run: str, task: str = TASK) -> bool:
    now = _run(release, run, task)
    assert now.state in ("waiting", "running", "done"), now
    return now.state == "done"


def _kill_worker(release: Release, run: str) -> None:
    _kill_one(release, run, JOB_WORKER)


def _kill_head(release: Release, run: str) -> None:
    _kill_one(release, run, JOB_HEAD)


def _kill_one(release: Release, run: str, selector: str) -> None:
    """A pod of the cluster of this run's RayJob."""
    (job,) = release.kubectl.get("rayjobs", selector=f"tornio/run={run}")
    (pod, *_) = release.kubectl.pods(f"{selector},ray.io/cluster={job['status']['rayClusterName']}")
    release.kubectl.kill(pod)


def _kill_operator(release: Release, _: str) -> None:
    pods = release.kubectl.pods("", everywhere=True)
    (operator,) = (pod for pod in pods if pod["metadata"]["name"].startswith(OPERATOR))
    release.kubectl.kill(operator)


def _kill_controller(release: Release, _: str) -> None:
    said = ""
    for pod in release.kubectl.pods(SERVE):
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
