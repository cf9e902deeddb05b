"""What a changed spec would do to a living task."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from tornio.changes import FieldChange, describe_changes
from tornio.spec import Change, TaskSpec
from tornio.specfile.places import sections

pytestmark = pytest.mark.unit

SPEC: dict[str, Any] = {"workspace": "care", "name": "tickets", "labels": ["a", "b"]}


def spec(**changes: Any) -> TaskSpec:
    return TaskSpec.model_validate(SPEC | changes)


def test_equal_specs_differ_in_nothing() -> None:
    assert describe_changes(spec(), spec()) == ()


def test_names_each_field_and_what_changing_it_does() -> None:
    new = spec(loop={"batch_size": 40, "seed": 1, "stop": {"window": 4}}, classifier={"max_length": 128})
    assert describe_changes(spec(), new) == (
        FieldChange("classifier.max_length", 256, 128, "next iteration"),
        FieldChange("loop.batch_size", 20, 40, "live"),
        FieldChange("loop.stop.window", 3, 4, "live"),
        FieldChange("loop.seed", 0, 1, "refused"),
    )


def test_labels_are_one_change_and_descriptions_are_live() -> None:
    new = spec(labels=[{"name": "b", "description": "Bee."}, "c"])
    assert describe_changes(spec(), new) == (
        FieldChange("labels", ("a", "b"), ("b", "c"), "new generation"),
        FieldChange("labels.b.description", None, "Bee.", "live"),
    )


def test_every_field_of_the_spec_says_what_changing_it_does() -> None:
    models = dict(sections(TaskSpec))
    assert {("labels", "[]"), ("gates", "canary"), ("feedback",)} <= set(models)
    for at, model in models.items():
        for name, info in model.model_fields.items():
            extra = info.json_schema_extra
            assert isinstance(extra, dict), (at, name)
            assert extra["change"] in get_args(Change), (at, name)


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ({}, {"loop": {"batch_size": 40}}, "loop.batch_size: 20 -> 40"),
        ({}, {"classifier": {"encoder": "hub:é"}}, 'classifier.encoder: "minilm" -> "hub:é"'),
        (
            {},
            {"feedback": {"share": 0.1}},
            'feedback: none -> {"share": 0.1, "per_day": 100, "longest": 2000}',
        ),
        ({"gates": {"shadow": True}}, {}, "gates.shadow: true -> false"),
        ({}, {"labels": ["a", "c"]}, 'labels: ["a", "b"] -> ["a", "c"]'),
        ({}, {"guidelines": "a\nb"}, 'guidelines: "" -> "a\\nb"'),
    ],
)
def test_a_change_is_told_in_the_words_of_the_file(before: dict[str, Any], after: dict[str, Any], says: str) -> None:
    (change,) = describe_changes(spec(**before), spec(**after))
    assert str(change) == says


def test_a_long_value_is_told_by_its_ends() -> None:
    (change,) = describe_changes(spec(), spec(guidelines="x" * 5000))
    assert len(str(change)) < 300


def test_each_teacher_of_several_is_compared_and_another_number_of_them_is_one_change() -> None:
    def several(*members: dict[str, Any]) -> TaskSpec:
        return spec(teacher={"kind": "combined", "members": list(members)})

    here, there = {"kind": "embedding"}, {"kind": "llm", "endpoint": "gpt"}
    old = several(here, there)
    (instructed,) = describe_changes(old, several(here, {**there, "instruction": "Read."}))
    assert instructed == FieldChange("teacher.members entry 2 instruction", "", "Read.", "live")
    (added,) = describe_changes(old, several(here, there, {"kind": "nli", "model": "x"}))
    assert (added.path, repr(added.old)) == ("teacher.members", "(embedding, llm:gpt)")
    assert repr(added.new) == "(embedding, llm:gpt, nli:x)"
