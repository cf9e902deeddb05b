"""How annotators agree, with names, and what decides on training labels."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.unit.tasks.sample import task_of
from tornio.labels.events import EventKind, LabelEvent
from tornio.records import Purpose
from tornio.spec import TaskSpec
from tornio.status.annotators import read_annotators
from tornio.tasks import Task, reserve

pytestmark = pytest.mark.unit

ANSWERED = datetime(2026, 1, 1, tzinfo=UTC)
NOW = ANSWERED + timedelta(hours=2)


def answered(**annotation: Any) -> Task:
    """Return a task of which two annotators have answered twenty texts for training."""
    spec = {"workspace": "w", "name": "t", "labels": ["a", "b"], "annotation": {"min_submitted": 2, **annotation}}
    task = task_of(TaskSpec.model_validate(spec))
    view = task.pool.read()
    held = reserve(task, view, ())
    asked = [name for name in view.record_ids if name not in held][:20]
    events = [
        LabelEvent(
            EventKind.ANSWER,
            name,
            ("a",),
            1,
            "argilla",
            annotator=who,
            response_updated_at=ANSWERED,
            purpose=Purpose.QUERY,
        )
        for name in asked
        for who in ("u1", "u2")
    ]
    task.labels.append(events, after=task.labels.last_seq())
    return task


@pytest.mark.parametrize(
    ("wanted", "enough", "used"),
    [("majority", 20, "majority"), ("crowdlab", 20, "crowdlab"), ("crowdlab", 21, "majority")],
)
def test_what_decides_and_how_many_texts_have_several_answers(
    monkeypatch: pytest.MonkeyPatch, wanted: str, enough: int, used: str
) -> None:
    monkeypatch.setattr("tornio.tasks.answers.ENOUGH", enough)
    monkeypatch.setattr("tornio.status.annotators.ENOUGH", enough)
    found = read_annotators(answered(consensus=wanted), {"u1": "ada"}, None, NOW)
    assert [(one.last_hour, one.last_day) for one in found.annotators] == [(0, 20), (0, 20)]
    assert [one.name for one in found.annotators] == ["ada", "u2"]
    assert found.consensus is not None
    assert (found.consensus.wanted, found.consensus.used) == (wanted, used)
    assert (found.consensus.several, found.consensus.needed) == (20, enough)
