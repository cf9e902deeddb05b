"""``tornio review`` and ``tornio export corrected`` for runs of a task, which the server does. A backend in memory."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.unit.cli.test_commands import TASK, Tornio, backend, task, tornio
from tests.unit.gateway.fake import FakeBackend, FakeRuns
from tests.unit.review.scored import make_task, mood, write_run
from tornio.api import ReviewExportRequest, ReviewSendRequest, ReviewSyncRequest, RunOut, RunRequest, TaskName
from tornio.review.corrected import schema
from tornio.storage.local import LocalStore

pytestmark = pytest.mark.unit
__all__ = ["backend", "task", "tornio"]  # fixtures


class DoneRuns(FakeRuns):
    """Each run is done at once, with the next of these outputs, or fails with it."""

    def __init__(self, *outputs: dict[str, object] | str) -> None:
        super().__init__()
        self.outputs = list(outputs)

    async def start(self, task: TaskName, request: RunRequest, who: str) -> RunOut:
        asked = await super().start(task, request, who)
        output = self.outputs.pop(0)
        changes = {"state": "failed", "error": output} if isinstance(output, str) else {"output": output}
        self.held[str(task)][0] = asked.model_copy(update={"state": "done", **changes})
        return asked


SENT: dict[str, object] = {
    "workspace": "acme", "dataset": "mine", "rows": 3, "new": 2, "left_out": 1, "same_id": 0, "page": "http://a/1",
}  # fmt: skip
PROGRESS: dict[str, object] = {
    "shown": 3, "reviewed": 2, "changed": 1, "discarded": 0, "disputed": 0, "precision": 0.5,
}  # fmt: skip


def test_the_server_sends_and_syncs_a_run_of_a_task(task: Tornio, backend: FakeBackend) -> None:
    backend.runs = DoneRuns(SENT, SENT, PROGRESS, PROGRESS, "Argilla is away")
    words = ("review", "send", "score-1", "--task", TASK)
    code, out, err = task(*words, "--top", 3, "--name", "mine", "--reviewers", 2)
    assert code == 0, err
    assert "mine in Argilla shows 3 rows, 2 of them new; 1 texts were left out" in out
    assert f"next: tornio review sync score-1 --task {TASK} --watch" in err
    assert json.loads(task(*words, "--loss-quantile", 0.9, "--json")[1]) == SENT
    sync = ("review", "sync", "score-1", "--task", TASK)
    assert task(*sync)[1] == "2 of 3 rows are reviewed, 1 labels were wrong: precision 50.0 %\n"
    assert json.loads(task(*sync, "--json")[1]) == PROGRESS
    assert backend.runs.asked == [
        ReviewSendRequest(run="score-1", top=3, name="mine", reviewers=2),
        ReviewSendRequest(run="score-1", loss_quantile=0.9),
        *[ReviewSyncRequest(run="score-1")] * 2,
    ]
    assert task(*sync)[::2] == (1, "run review-sync-00000000000000000005 is failed: Argilla is away\n")
    assert "--loss-quantile: Input should be less than 1" in task(*words, "--loss-quantile", 1)[2]


def test_watching_goes_on_when_the_server_could_not_reach_argilla(
    task: Tornio, backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend.runs = DoneRuns("Argilla is away", PROGRESS)
    looks = iter([None, KeyboardInterrupt])

    def meanwhile(_: float) -> None:
        if (ends := next(looks)) is not None:
            raise ends

    monkeypatch.setattr("tornio.cli.review.time.sleep", meanwhile)
    code, out, err = task("review", "sync", "score-1", "--task", TASK, "--watch")
    assert (code, out) == (130, "2 of 3 rows are reviewed, 1 labels were wrong: precision 50.0 %\n")
    assert "Argilla is away (checking again in 10 s)" in " ".join(err.split())


EXPORTED: dict[str, object] = {
    "run": "score-1", "rows": 2, "labels": ["bad", "good"], "multi_label": False, "model": "v1", "suspicion": "loss",
    "reviewed": PROGRESS,
}  # fmt: skip


@pytest.fixture
def exported(backend: FakeBackend) -> FakeBackend:
    """The next run is one that has written a corrected set of two rows."""
    row = {"row": 0, "record_id": "r0", "text": "=1+1", "original_label": "bad", "corrected_label": "good"}
    rest = {"review": "changed", "who": ["ann"], "when": None}
    tables = [pa.Table.from_pylist([{**row, **rest, "row": n, "record_id": f"r{n}"}], schema(False)) for n in range(2)]
    files = {"report.html": b"<html>"} | {
        f"corrected-00000{n}.parquet": parquet(table) for n, table in enumerate(tables)
    }
    backend.runs = DoneRuns(EXPORTED)
    backend.runs.files_of["review-export-00000000000000000001"] = files
    return backend


def parquet(table: pa.Table) -> bytes:
    out = io.BytesIO()
    pq.write_table(table, out)
    return out.getvalue()


@pytest.mark.parametrize(("suffix", "text"), [("csv", "'=1+1"), ("jsonl", '"text": "=1+1"'), ("parquet", "")])
def test_the_corrected_set_of_a_task_s_run_comes_from_the_server(
    task: Tornio, exported: FakeBackend, tmp_path: Path, suffix: str, text: str
) -> None:
    path = tmp_path / f"corrected.{suffix}"
    code, out, err = task("export", "corrected", "score-1", "--task", TASK, "-o", path)
    assert (code, out) == (0, f"wrote 2 rows to {path}\n"), err
    assert exported.runs.asked == [ReviewExportRequest(run="score-1")]
    if text:
        assert path.read_text().count(text) == 2
    else:
        assert pq.read_table(path)["record_id"].to_pylist() == ["r0", "r1"]


def test_the_corrected_set_of_a_task_s_run_becomes_a_folder_of_datasets(
    task: Tornio, exported: FakeBackend, tmp_path: Path
) -> None:
    datasets = pytest.importorskip("datasets")
    folder = tmp_path / "corrected"
    assert task("export", "corrected", "score-1", "--task", TASK, "-o", folder, "--json")[0] == 0
    rows = datasets.load_from_disk(str(folder))
    assert (rows["corrected_label"][:], rows.features["corrected_label"].names) == ([1, 1], ["bad", "good"])


def test_what_cannot_be_written_is_told_before_the_server_works(
    task: Tornio, exported: FakeBackend, tmp_path: Path
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a").touch()
    for output in ("corrected.tsv", tmp_path / "full", tmp_path / "nowhere" / "a.csv", "hub:a/b/c"):
        assert task("export", "corrected", "score-1", "--task", TASK, "-o", output)[0] == 1
    code, _, err = task("export", "corrected", "Score 1", "--task", TASK, "-o", tmp_path / "a.csv")
    assert (code, "Traceback" in err, "run" in err) == (1, False, True)
    assert exported.runs.asked == []


def test_the_report_of_a_task_s_run_comes_from_the_server(task: Tornio, exported: FakeBackend, tmp_path: Path) -> None:
    words = ("review", "report", "score-1", "--task", TASK)
    assert task(*words, "-o", tmp_path / "report.html")[0] == 0
    assert (tmp_path / "report.html").read_bytes() == b"<html>"
    assert "ends in .html" in task(*words, "-o", tmp_path / "report.txt")[2]


def test_the_name_of_a_task_has_its_workspace(task: Tornio, backend: FakeBackend) -> None:
    for words in (("review", "send"), ("review", "sync"), ("review", "report"), ("export", "corrected", "-o", "a.csv")):
        code, _, err = task(*words, "score-1", "--task", TASK, "--workspace", "other")
        assert (code, f"Omit it beside --task {TASK}" in " ".join(err.split())) == (2, True)


def test_a_run_of_a_task_that_is_found_here_is_sent_by_the_server(
    task: Tornio, backend: FakeBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORNIO_STORE_DIR", str(tmp_path / "store"))
    store = LocalStore(tmp_path / "store")
    make_task(store, workspace="acme", name="support")
    run = write_run(store, mood(3), workspace="acme", task="support")
    backend.runs = DoneRuns(SENT)
    code, _, err = task("review", "send", run)
    assert code == 0, err
    assert backend.runs.asked == [ReviewSendRequest(run=run)]
