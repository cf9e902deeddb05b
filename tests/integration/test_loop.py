"""One loop turns, seen as its users see it: client and commands of Tornio, and Argilla's REST API for annotators."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.annotating import Annotator, whole_batch
from tests.integration.conftest import Command
from tests.running import LABELS, Running, all_answer_with, messages, serving, spec, until
from tornio.api import LabelIn, RecordIn, TaskStatus
from tornio.client import Client
from tornio.errors import Conflict, NotFound, NotServable

pytestmark = pytest.mark.integration

ALL = messages(200)


@pytest.fixture(scope="module")
def ann(tornio_up: Running) -> Iterator[Annotator]:
    with Annotator(tornio_up.addresses, "shop") as annotator:
        yield annotator


def know(record_id: str, _: str) -> str:
    """An annotator who is always right."""
    return ALL[record_id][1]


def write_csv(path: Path, ids: Sequence[str], labels: bool = False) -> str:
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["id", "text", "label"][: 3 if labels else 2])
        rows.writerows([record_id, *ALL[record_id]][: 3 if labels else 2] for record_id in ids)
    return str(path)


def fill(client: Client, task: str, ids: Sequence[str]) -> None:
    client.add_records(task, [RecordIn(record_id=record_id, text=ALL[record_id][0]) for record_id in ids])


def teach(client: Client, task: str, ids: Sequence[str]) -> None:
    """Import labels that are known already."""
    client.import_labels(task, [LabelIn(record_id=i, text=ALL[i][0], labels=[ALL[i][1]]) for i in ids])


def open_batch(client: Client, task: str, other_than: str = "") -> TaskStatus:
    """The status once a batch is in the annotators' hands."""

    def look() -> TaskStatus | None:
        status = client.status(task)
        return status if any(batch.batch != other_than for batch in status.batches) else None

    return until(look, f"{task} opens a batch")


def test_unlabelled_texts_become_a_classifier_that_goes_on_learning(
    tornio_up: Running, command: Command, ann: Annotator, tmp_path: Path
) -> None:
    client = tornio_up.client
    (tmp_path / "task.yaml").write_text(yaml.safe_dump(spec("inbox", guidelines="What is it about?")))
    command("apply", str(tmp_path / "task.yaml"))
    until(lambda: "pool is empty" in command("status", "shop/inbox"), "the status says what to do")
    pool = write_csv(tmp_path / "pool.csv", list(ALL)[:60])
    assert "added 60 records" in command("pool", "add", "shop/inbox", pool)
    assert "60 existed already" in command("pool", "add", "shop/inbox", pool)
    with pytest.raises(NotServable, match="no version yet"):
        client.predict("shop/inbox", ["where is my parcel?"])

    said: dict[str, Any] = {}
    bare: set[str] = set()
    for iteration in (1, 2, 3):
        shown = whole_batch(tornio_up.client, ann, "shop/inbox")
        assert not {record.record_id for record in shown} & set(said)
        bare |= {record.record_id for record in shown if record.suggestion is None}
        agents = {record.suggestion["agent"] for record in shown if record.suggestion}
        served = client.status("shop/inbox").serving
        assert len(agents) == 1
        assert served is None or agents == {served.version}
        said |= ann.answer_all("inbox", know if iteration > 1 else _discard_one(shown[0].record_id))
        serving(client, "shop/inbox", iteration)

    # Hold-out, and nothing else, was shown without a suggestion.
    lines = [json.loads(line) for line in command("export", "labels", "shop/inbox").splitlines()]
    assert {line["record_id"]: line["labels"] for line in lines} == {i: [said[i]] for i in said if said[i] is not None}
    held = {line["record_id"] for line in lines if line["purpose"] == "holdout"}
    assert held == {i for i in bare if said[i] is not None}
    assert len(bare) == 2  # a tenth of three batches of 8

    # Each version says why it serves; each prediction says who made it.
    versions = client.versions("shop/inbox")
    assert [version.state for version in versions] == ["serving", "previous", "served"]
    assert all(version.reasons for version in versions)
    assert [version.training_labels for version in reversed(versions)] == _growing(versions)
    status = client.status("shop/inbox")
    assert [swap.revision for swap in status.swaps] == [3, 2, 1]
    assert [point.version for point in status.curve] == [version.version for version in reversed(versions)]
    until(lambda: all_answer_with(client, "shop/inbox", 3), "no replica lags")
    answers = json.loads(command("predict", "shop/inbox", "The parcel never came.", "cancel it please", "--json"))
    assert {(answer["version"], answer["revision"]) for answer in answers} == {(versions[0].version, 3)}
    assert all(set(answer["probabilities"]) == set(LABELS) for answer in answers)
    assert versions[0].version in command("versions", "shop/inbox")


def _discard_one(record: str) -> Callable[[str, str], str | None]:
    return lambda record_id, text: None if record_id == record else know(record_id, text)


def _growing(versions: Sequence[Any]) -> list[int]:
    return sorted({version.training_labels for version in versions})


def test_imported_labels_of_every_class_train_without_anybody_asked(
    tornio_up: Running, command: Command, ann: Annotator, tmp_path: Path
) -> None:
    client = tornio_up.client
    client.apply(spec("imported"))
    known = list(ALL)[:60]
    fill(client, "shop/imported", list(ALL)[60:90])
    command("pause", "shop/imported")  # a query between the import's two writes, texts and labels, would ask for them
    command("labels", "import", "shop/imported", write_csv(tmp_path / "labels.csv", known, labels=True))
    judges = write_csv(tmp_path / "judges.csv", list(ALL)[90:110], labels=True)
    command("labels", "import", "shop/imported", judges, "--holdout")
    command("resume", "shop/imported")
    status = serving(client, "shop/imported", 1)
    assert sum(status.training_labels.values()) == 60
    assert status.holdout.labelled == 20
    right = sum(
        answer.labels == (ALL[i][1],)
        for i, answer in zip(known, client.predict("shop/imported", [ALL[i][0] for i in known]), strict=True)
    )
    assert right > 40  # of 60 that it was trained on: it learnt something
    shown = until(lambda: ann.pending("imported"), "the first batch is in Argilla")
    assert not {record.record_id for record in shown} & {*known, *list(ALL)[90:110]}


def test_a_paused_task_trains_nothing_until_it_is_resumed(tornio_up: Running, command: Command, ann: Annotator) -> None:
    client, task = tornio_up.client, "shop/paused"
    client.apply(spec("paused"))
    fill(client, task, list(ALL)[:30])
    batch = open_batch(client, task).batches[0].batch
    assert "is paused" in command("pause", task)
    ann.answer_all("paused", know)
    status = until(lambda: _closed(client.status(task), batch), "all answers are read and nothing goes on")
    assert status.serving is None
    assert status.asks.paused
    command("resume", task)
    serving(client, task, 1)


def _closed(status: TaskStatus, batch: str) -> TaskStatus | None:
    closed = any(one.batch == batch and one.closed for one in status.batches)
    return status if closed and status.phase == "paused" else None  # the phase is what the controller last looked at


def test_train_now_does_not_wait_for_the_batch(tornio_up: Running, command: Command, ann: Annotator) -> None:
    client, task = tornio_up.client, "shop/hurried"
    client.apply(spec("hurried"))
    fill(client, task, list(ALL)[:30])
    batch = open_batch(client, task).batches[0].batch
    for record in ann.pending("hurried")[:6]:
        ann.answer(record, ALL[record.record_id][1])
    until(lambda: client.status(task).batches[0].answered == 6, "six answers are read")
    command("train-now", task)
    status = serving(client, task, 1)
    assert [one.batch for one in status.batches if not one.closed] == [batch]
    assert len(ann.pending("hurried")) == 2


def test_a_rollback_holds_promotion_until_resume(tornio_up: Running, command: Command) -> None:
    client, task = tornio_up.client, "shop/regretted"
    client.apply(spec("regretted"))
    teach(client, task, list(ALL)[:40])
    first = serving(client, task, 1).serving
    assert first is not None
    fill(client, task, list(ALL)[100:120])
    open_batch(client, task)  # while people have one to answer, imported labels train nothing until somebody asks
    teach(client, task, list(ALL)[40:60])
    client.train_now(task)
    second = serving(client, task, 2).serving
    assert second is not None
    assert second.previous == first.version

    assert first.version in command("rollback", task, "--why", "it sounds wrong")
    until(lambda: all_answer_with(client, task, 3), "every replica has gone back")
    assert _of(client, task, first.version)
    with pytest.raises(NotFound, match=f"before {first.version}"):
        client.rollback(task)
    with pytest.raises(Conflict, match="would repeat it"):
        client.train_now(task)
    teach(client, task, list(ALL)[60:80])
    client.train_now(task)
    held = until(lambda: [v for v in client.versions(task) if v.state == "held"], "a third version is held")[0]
    assert any("it sounds wrong" in reason for reason in held.reasons)
    assert _of(client, task, first.version)
    command("resume", task)
    until(lambda: _of(client, task, held.version), "the third version answers")
    assert [swap.cause for swap in client.status(task).swaps] == ["promotion", "rollback", "promotion", "promotion"]

    assert "as soon as the classifier has loaded it" in command("promote", task, second.version, "--why", "we miss it")
    until(lambda: _of(client, task, second.version), "the second version answers again")
    status = client.status(task)
    assert (status.swaps[0].cause, status.swaps[0].version) == ("manual", second.version)
    assert "we miss it" in (status.asks.hold or "")


def _of(client: Client, task: str, version: str) -> Any:
    answer = client.predict(task, ["Where is my parcel?"])[0]
    return answer if answer.version == version else None


def test_a_text_may_have_several_labels_or_none(tornio_up: Running, ann: Annotator) -> None:
    client, task = tornio_up.client, "shop/several"
    labels = ["money", "parcel"]
    client.apply({**spec("several"), "labels": labels, "multi_label": True})
    fill(client, task, list(ALL)[:40])

    def choose(record_id: str, _: str) -> list[str]:
        topic = ALL[record_id][1]
        chosen = [*(["money"] if topic in ("billing", "cancel") else []), *(["parcel"] if topic == "delivery" else [])]
        return chosen or ["(none of these)"]  # Argilla takes no empty answer

    said: dict[str, Any] = {}

    def answered() -> bool:
        said.update(ann.answer_all("several", choose))
        status = client.status(task)
        return status.serving is not None and not ann.pending("several")

    until(answered, "it serves")
    exported = {record.record_id: record.labels for record in client.labels(task)}
    assert exported.items() <= {i: [label for label in labels if label in answer] for i, answer in said.items()}.items()
    assert [] in exported.values()
    answer = client.predict(task, ["You charged me twice for a parcel that never came."])[0]
    assert set(answer.probabilities) == set(labels)
    assert set(answer.labels) <= set(labels)


def test_zero_shot_needs_no_task(command: Command) -> None:
    words = (
        "The box was crushed when the courier dropped it off.",
        "--label",
        "delivery",
        "--label",
        "password",
        "--json",
    )
    assert json.loads(command("zero-shot", *words))[0]["labels"] == ["delivery"]
