"""A loop whose strategy, criterion and method come from installed packages, and the same loop after they are gone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.annotating import Annotator, whole_batch
from tests.plugins import EXAMPLES, install
from tests.running import Running, messages, running, serving, spec, until
from tornio.api import LabelIn, RecordIn, TaskStatus

pytestmark = pytest.mark.integration

KNOWN = messages(120)
TASK = "shop/plugged"
NAMED = {
    "training": {"method": "nearest-centroid"},
    "loop": {
        "strategy": "far-from-labels",
        "strategy_settings": {"unsure": 3},
        "stop": {"criterion": "few-changes", "settings": {"share": 0.0}},
    },
}


def begin(up: Running) -> None:
    up.client.apply(spec("plugged", **NAMED))
    labelled, pool = list(KNOWN.items())[:40], list(KNOWN.items())[40:]
    up.client.add_records(TASK, [RecordIn(record_id=i, text=text) for i, (text, _) in pool])
    up.client.import_labels(TASK, [LabelIn(record_id=i, text=text, labels=[label]) for i, (text, label) in labelled])


def answer_batch(up: Running, ann: Annotator) -> set[str]:
    """Answer the open batch; returns the records that are answered now."""
    shown = whole_batch(up.client, ann, TASK)
    for record in shown:
        ann.answer(record, KNOWN[record.record_id][1])
    return {record.record_id for record in shown}


def answers_with(up: Running, version: str) -> bool:
    """Whether several predictions in a row come from this version; replicas swap one after the other."""
    return all(up.client.predict(TASK, ["Where is my parcel?"])[0].version == version for _ in range(6))


def asks_for_attention(up: Running, *words: str) -> TaskStatus:
    def look() -> TaskStatus | None:
        status = up.client.status(TASK)
        return status if all(word in status.why for word in words) else None

    return until(look, f"the status of {TASK} mentions {words}")


def test_the_loop_on_packages_and_after_they_are_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for example in EXAMPLES.iterdir():
        install(example.name, tmp_path / "site") if example.is_dir() else None
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    with running(tmp_path / "up") as up, Annotator(up.addresses, "shop") as ann:
        begin(up)
        serving(up.client, TASK, 1)
        answered = answer_batch(up, ann)
        status = serving(up.client, TASK, 2)
        assert status.stop.criterion == "few-changes"
        assert len(status.stop.signals) == 1
        assert status.stop.threshold == 0.0
        version = status.serving
        assert version is not None
        until(lambda: answers_with(up, version.version), "every replica has swapped")
        answered |= {record.record_id for record in whole_batch(up.client, ann, TASK)}

    monkeypatch.delenv("PYTHONPATH")
    with running(tmp_path / "up") as up, Annotator(up.addresses, "shop") as ann:
        asks_for_attention(up, "no stopping criterion 'few-changes' on this machine")
        assert answers_with(up, version.version)
        answer_batch(up, ann)
        asks_for_attention(up, "no training method 'nearest-centroid' on this machine")
        assert answers_with(up, version.version)
        assert answered <= {record.record_id for record in up.client.labels(TASK)}

        up.client.apply(spec("plugged"))  # another choice, and it trains by itself on every answer that was given
        serving(up.client, TASK, version.revision + 1)
        until(lambda: up.client.status(TASK).phase == "labelling", "the next batch is open")
