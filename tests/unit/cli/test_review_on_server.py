"""``tornio review send`` and ``sync`` for runs of a task, which the server does. A backend in memory."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.cli.test_commands import TASK, Tornio, backend, task, tornio
from tests.unit.gateway.fake import FakeBackend, FakeRuns
from tests.unit.review.scored import make_task, mood, write_run
from tornio.api import ReviewSendRequest, ReviewSyncRequest, RunOut, RunRequest, TaskName
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
