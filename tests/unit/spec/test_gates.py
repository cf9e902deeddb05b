"""Trials on live traffic as task.yaml describes them."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from tornio.changes import describe_changes
from tornio.spec import CanarySpec, GateSpec, TaskSpec

pytestmark = pytest.mark.unit


def test_without_the_settings_nothing_is_tried_and_nothing_new_is_stored() -> None:
    gates = GateSpec()
    assert gates.trial is None
    assert not {"canary", "shadow"} & json.loads(gates.model_dump_json()).keys()


def test_a_shadow_alone_answers_nobody_for_half_an_hour() -> None:
    assert GateSpec.model_validate({"shadow": True}).trial == CanarySpec(share=0.0, minutes=30)


def test_a_canary_has_defaults_for_everything() -> None:
    assert GateSpec.model_validate({"canary": {}}).trial == CanarySpec(share=0.1, minutes=30, texts=200)


@pytest.mark.parametrize("canary", [{"share": 0.6}, {"share": 0.0}, {"minutes": 0}, {"texts": 0}, {"sharing": 0.1}])
def test_what_makes_no_sense_is_refused(canary: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        GateSpec.model_validate({"canary": canary})


def test_share_0_makes_sense_with_a_shadow() -> None:
    gates = GateSpec.model_validate({"canary": {"share": 0, "minutes": 5}, "shadow": True})
    assert gates.trial == CanarySpec(share=0.0, minutes=5)


def test_a_change_says_what_changes() -> None:
    def spec(gates: dict[str, object]) -> TaskSpec:
        return TaskSpec.model_validate({"workspace": "w", "name": "t", "labels": ["a", "b"], "gates": gates})

    begun = describe_changes(spec({}), spec({"canary": {}}))
    changed = describe_changes(spec({"canary": {}}), spec({"canary": {"share": 0.2}}))
    ended = describe_changes(spec({"canary": {}}), spec({}))
    assert [(one.path, one.change) for one in begun] == [("gates.canary", "live")]
    assert [(one.path, one.old, one.new) for one in ended] == [("gates.canary", CanarySpec(), None)]
    assert [(one.path, one.old, one.new) for one in changed] == [("gates.canary.share", 0.1, 0.2)]
