"""Live texts for the pool as task.yaml asks for them."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from tornio.changes import describe_changes
from tornio.spec import FeedbackSpec, TaskSpec

pytestmark = pytest.mark.unit
TASK = {"workspace": "w", "name": "t", "labels": ["a", "b"]}


def test_nothing_is_kept_by_default_and_nothing_new_is_stored() -> None:
    spec = TaskSpec.model_validate(TASK)
    assert spec.feedback is None
    assert "feedback" not in json.loads(spec.model_dump_json())


def test_the_share_alone_must_be_given_and_a_change_is_live() -> None:
    spec = TaskSpec.model_validate(TASK | {"feedback": {"share": 0.01}})
    assert spec.feedback == FeedbackSpec(share=0.01, per_day=100, longest=2000)
    assert TaskSpec.model_validate_json(spec.model_dump_json()) == spec
    (change,) = describe_changes(TaskSpec.model_validate(TASK), spec)
    assert (change.path, change.change) == ("feedback", "live")


@pytest.mark.parametrize("feedback", [{}, {"share": 0}, {"share": 1.1}, {"share": 1, "per_day": 0}, {"rate": 0.1}])
def test_what_makes_no_sense_is_refused(feedback: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        TaskSpec.model_validate(TASK | {"feedback": feedback})
