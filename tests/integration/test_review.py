"""A review on a running server: it sends, people answer in Argilla, it syncs, and a corrected set is exported."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.contract.annotation_stages import ArgillaServerUnderTest, expect, rest
from tests.running import Running
from tests.unit.review.scored import LABELS, Row, write_run
from tornio.cli import main
from tornio.records import Record
from tornio.spec import TaskSpec
from tornio.storage.environment import store_from_environment
from tornio.tasks import Task, Tasks, training_set


class Reviewer:
    """An annotator of one workspace who opens the page that the command printed."""

    def __init__(self, server: ArgillaServerUnderTest, workspace: str) -> None:
        server.join(workspace, "ann")
        self.http = rest(server.url, server.user("ann")["api_key"])

    def page(self, address: str) -> list[Any]:
        """The records in the order of the page."""
        url = httpx.URL(address)
        entity, name, order = url.params["sort"].split(".")
        body = {"sort": [{"scope": {"entity": entity, "metadata_property": name}, "order": order}]}
        path = f"me/datasets/{url.path.split('/')[-2]}/records/search"
        answer = expect(self.http.post(path, json=body, params={"include": ["suggestions", "responses"]}))
        return [item["record"] for item in answer["items"]]

    def answer(self, record: Any, label: str | None) -> str:
        """Submit, or discard; returns the response's id."""
        values = {} if label is None else {"label": {"value": label}}
        body = {"status": "discarded" if label is None else "submitted", "values": values}
        return str(expect(self.http.post(f"records/{record['id']}/responses", json=body))["id"])


@pytest.fixture
def task(tornio_up: Running, monkeypatch: pytest.MonkeyPatch) -> Task:
    """In a workspace of this test, whose loop is paused."""
    for name, value in tornio_up.addresses.environment().items():
        monkeypatch.setenv(name, value)
    spec = TaskSpec.model_validate({"workspace": f"w-{uuid4().hex[:10]}", "name": "mood", "labels": [*LABELS]})
    tornio_up.client.apply(spec)
    tornio_up.client.pause(spec.full_name)
    return Tasks(store_from_environment()).open(spec.workspace, spec.name)


@pytest.fixture
def server(tornio_up: Running) -> Iterator[ArgillaServerUnderTest]:
    at = tornio_up.addresses
    with ArgillaServerUnderTest(at.argilla_url, at.argilla_api_key) as server:
        yield server


@pytest.fixture
def review(
    tornio_up: Running, task: Task, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[..., Any]:
    """The command line of somebody who has a key of the server, and none of the bucket or of Argilla."""

    def run(what: str, run: str, *words: object, group: str = "review") -> Any:
        with monkeypatch.context() as there:
            for name in tornio_up.addresses.environment():
                there.delenv(name)
            there.chdir(tmp_path)
            return tornio(capsys, group, what, run, "--task", task.full_name, "--url", tornio_up.url, *words)

    return run


@pytest.fixture
def reviewer(server: ArgillaServerUnderTest) -> Iterator[Callable[[str], Reviewer]]:
    """Makes the annotator a member of a workspace that is there by now."""
    with ExitStack() as closing:

        def make(workspace: str) -> Reviewer:
            made = Reviewer(server, workspace)
            closing.callback(made.http.close)
            return made

        yield make


def tornio(capsys: pytest.CaptureFixture[str], *words: object) -> Any:
    code = main([*map(str, words), "--json"])
    out, err = capsys.readouterr()
    assert code == 0, err
    return json.loads(out)


def test_suspicious_labels_are_corrected(
    task: Task,
    server: ArgillaServerUnderTest,
    reviewer: Callable[[str], Reviewer],
    review: Callable[..., Any],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    texts = [f"a text of number {n}" for n in range(8)]
    task.import_labels([(Record(f"r{n}", text), ["bad"]) for n, text in enumerate(texts)], "train", "seed.csv")
    rows = [Row(text, ("bad",), record_id=f"r{n}", loss=10.0 - n) for n, text in enumerate(texts)]
    run = write_run(task.store, rows, workspace=task.workspace, task=task.name)

    for new in (4, 0):
        sent = review("send", run, "--top", 4)
        assert (sent["rows"], sent["new"], sent["left_out"]) == (4, new, 0)
    ann = reviewer(task.workspace)
    shown = ann.page(sent["page"])
    assert [record["external_id"] for record in shown] == ["r0", "r1", "r2", "r3"]
    assert shown[0]["fields"] == {"text": texts[0], "given_label": "bad"}
    assert shown[0]["metadata"] == {"batch": run, "given_label": "bad", "disagrees": "yes", "loss": 10.0}
    (suggestion,) = shown[0]["suggestions"]
    assert (suggestion["value"], round(suggestion["score"], 3)) == ("good", 0.8)

    ann.answer(shown[0], "good")
    ann.answer(shown[1], "bad")
    ann.answer(shown[2], None)
    taken_back = ann.answer(shown[3], "so-so")
    first = review("sync", run)
    assert first == {"shown": 4, "reviewed": 3, "changed": 2, "discarded": 1, "disputed": 0, "precision": 2 / 3}
    expect(ann.http.delete(f"responses/{taken_back}"))
    for _ in range(2):
        assert review("sync", run)["precision"] == 0.5

    task = Tasks(task.store).open(task.workspace, task.name)  # the server has written labels
    trained = training_set(task, task.labels.last_seq(), task.pool.last_seq())
    said = dict(zip(trained.record_ids, trained.labels, strict=True))
    assert said == {"r0": ("good",), **{f"r{n}": ("bad",) for n in (1, 3, 4, 5, 6, 7)}}
    path = tmp_path / "corrected.jsonl"
    assert review("corrected", run, "-o", path, group="export") == {"path": str(path), "rows": 8}
    written = [json.loads(line) for line in path.read_text().splitlines()]
    assert [row["corrected_label"] for row in written] == ["good", *["bad"] * 7]
    assert [row["review"] for row in written] == ["changed", "confirmed", "discarded", *["unreviewed"] * 5]
    assert written[0]["who"] == [server.user("ann")["id"]]
