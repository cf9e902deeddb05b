"""Large runs on the real stack: asked for through the API, killed, adopted, cancelled, and done to the last row."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.classifiers import tiny_classifier
from tests.integration.conftest import Command
from tests.running import LABELS, Running, labelled_csv, messages, spec, until
from tornio.api import RunOut
from tornio.errors import Conflict, Forbidden
from tornio.schemas.scoring import PredictOutput, ScoreOutput
from tornio.schemas.tables import scores_table
from tornio.settings import StorageSettings
from tornio.storage.port import ObjectStore
from tornio.storage.s3 import open_store

pytestmark = pytest.mark.integration

TASK = "shop/scored"
ROWS, PART_ROWS = 1200, 20
PATIENCE_S = 300.0
"""Seconds that a job may take to begin: half a dozen new processes, on a machine that does other things too."""


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_classifier(tmp_path_factory.mktemp("classifier"), LABELS)


@pytest.fixture
def store(tornio_up: Running, classifier: Path, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    """The bucket of the stack, with labelled data and a model in the workspace's folder."""
    for name, value in tornio_up.addresses.environment().items():
        monkeypatch.setenv(name, value)
    store = open_store(StorageSettings())
    store.put("shop/data/labelled.csv", labelled_csv(ROWS, messages(200)))
    for file in classifier.iterdir():
        store.put(f"shop/models/tiny/{file.name}", file.read_bytes())
    return store


def request(tornio: Running, **more: object) -> dict[str, Any]:
    folder = f"s3://{tornio.addresses.s3_bucket}/shop"
    return {"data": f"{folder}/data/labelled.csv", "model": f"{folder}/models/tiny", "part_rows": PART_ROWS, **more}


def driver(tornio: Running, run: str) -> psutil.Process | None:
    """The process of the run's Ray job."""
    for process in psutil.Process(tornio.child("ray").pid).children(True):
        try:
            words = process.cmdline()
        except psutil.NoSuchProcess:
            continue
        if words[1:3] == ["-m", "jobs"] and run in words:
            return process
    return None


def under_way(tornio: Running, run: str) -> RunOut | None:
    now = tornio.client.run(TASK, run)
    assert now.state in ("waiting", "running"), now
    scoring = now.progress is not None and now.progress.stage.startswith("score") and now.progress.done > 0
    return now if scoring else None


def test_a_run_outlives_its_job_and_its_controller_and_another_is_cancelled(
    tornio_up: Running, command: Command, store: ObjectStore
) -> None:
    client = tornio_up.client
    client.apply(spec("scored"))
    with pytest.raises(Forbidden, match="shop/"):
        client.start_run(TASK, {"data": f"s3://{tornio_up.addresses.s3_bucket}/other/labelled.csv"})

    # One is cancelled: its process ends, and no other follows.
    unwanted = client.start_run(TASK, request(tornio_up, seed=1)).run
    until(lambda: driver(tornio_up, unwanted), "its job begins", PATIENCE_S)
    assert "is cancelled" in command("run", "cancel", TASK, unwanted)
    until(lambda: driver(tornio_up, unwanted) is None, "its process has ended")

    # The job of another is killed: the next attempt goes on, also under the next controller.
    run = client.start_run(TASK, request(tornio_up)).run
    assert client.start_run(TASK, request(tornio_up)).run == run
    disturbed = until(lambda: under_way(tornio_up, run), "some rows are scored", PATIENCE_S).attempt
    victim = driver(tornio_up, run)
    assert victim is not None
    victim.send_signal(signal.SIGKILL)
    until(lambda: client.run(TASK, run).attempt > disturbed, "the next attempt begins", PATIENCE_S)
    written = {info.key: info.etag for info in store.list(f"shop/tasks/scored/runs/{run}/scores/")}
    for controller in tornio_up.actors("ServeReplica:tornio:controller"):
        os.kill(controller.pid, signal.SIGKILL)
    done = until(lambda: _done(client.run(TASK, run)), "it is done", PATIENCE_S)
    assert done.attempt > disturbed  # on a busy machine Ray may lose a job of its own
    assert written
    output = ScoreOutput.model_validate(done.output)
    assert (output.rows, output.parts, output.rejected_rows) == (ROWS, ROWS // PART_ROWS, 0)
    parts = list(store.list(output.scores))
    assert {info.key: info.etag for info in parts if info.key in written} == written  # done once
    rows = [row for info in parts for row in _rows(store, info.key)]
    assert rows == list(range(ROWS))

    # What was cancelled stayed so, and the command line tells of both.
    assert client.run(TASK, unwanted).state == "cancelled"
    assert client.run(TASK, unwanted).attempt <= 1
    assert driver(tornio_up, unwanted) is None
    told = json.loads(command("runs", TASK, "--json"))[TASK]
    assert {one["run"]: one["state"] for one in told} == {run: "done", unwanted: "cancelled"}
    assert "parts: 60" in command("run", "show", TASK, run)
    with pytest.raises(Conflict, match="done already"):
        client.cancel_run(TASK, run)

    # The same data is predicted by the same engine, and written again with all of its columns.
    asked = request(tornio_up, job="predict", prefix="predicted_", part_rows=500, format="parquet")
    predicting = client.start_run(TASK, asked).run
    ended = until(lambda: _done(client.run(TASK, predicting)), "it is predicted", PATIENCE_S)
    (key,) = PredictOutput.model_validate(ended.output).predicted
    table = pq.read_table(pa.BufferReader(store.get(key).body))
    assert (len(table), set(table.column("predicted_label").to_pylist()) <= set(LABELS)) == (ROWS, True)
    assert {"text", "label", "predicted_score"} <= set(table.column_names)


def _done(run: RunOut) -> RunOut | None:
    assert run.state in ("waiting", "running", "done"), run
    return run if run.state == "done" else None


def _rows(store: ObjectStore, key: str) -> list[int]:
    rows: list[int] = scores_table(len(LABELS)).decode(store.get(key).body, key)["row"].to_pylist()
    return rows
