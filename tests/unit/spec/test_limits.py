"""A spec that would cost its reader minutes, or whose error would be as long as itself, is refused soon and briefly."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tornio.api import checked_spec
from tornio.errors import InvalidSpec
from tornio.spec.limits import MAX_CHARACTERS, MAX_DEPTH, MAX_PARTS, MAX_TOLD
from tornio.specfile import read_spec

pytestmark = pytest.mark.unit

GOOD = {"workspace": "w", "name": "t", "labels": ["a", "b"]}
START = "workspace: w\nname: t\nlabels: [a, b]\n"
MANY = 200_000


def read(spec: Any) -> None:
    yaml = isinstance(spec, str) and not spec.startswith(("{", "[", '"'))
    (read_spec if yaml else checked_spec)(spec)


def refusal(spec: Any) -> str:
    with pytest.raises(InvalidSpec) as caught:
        read(spec)
    assert len(str(caught.value)) < MAX_TOLD + 100
    return str(caught.value)


@pytest.mark.parametrize(
    ("yaml", "says"),
    [
        (START + "guidelines: " + "[" * 2_900 + "a, " * 20_000, "levels deep"),
        ("x: " + "{a: " * 20_000, "levels deep"),
        ("- " * 5_000, "levels deep"),
        ("? " * 5_000, "levels deep"),
        (START + "".join(f"key{number}: 1\n" for number in range(20_000)), f"more than {MAX_PARTS:,}"),
        (START + "x: [" + "a," * MAX_PARTS, "list entries"),
        (START + "guidelines: " + "a" * MAX_CHARACTERS, f"at most {MAX_CHARACTERS:,}"),
        (START + "guidelines: " + "a" * MANY, "guidelines: found a text of 200,000 characters"),
        (START + "multi_label: " + "a" * MANY, f"({MANY:,} characters)"),
        (START + "? " + "a" * MANY + "\n: 1", "is not a field"),
        (START + "guidelines: *" + "a" * MANY, "found an alias"),
        (START + "guidelines: !" + "a" * MANY + " b", "tags are not allowed"),
        (START + "teacher: {templates: [" + "a" * MANY + "]}", "must contain {} exactly once"),
        (f"workspace: w\nname: t\nlabels: [{'a' * MANY}, {'a' * MANY}]", "a second time"),
        (START + "".join(f"key{number}: 1\n" for number in range(1_000)), "line 4: key0 is not a field"),
    ],
)
def test_yaml_is_refused_with_its_reason(yaml: str, says: str) -> None:
    assert says in refusal(yaml)


def text(**fields: Any) -> str:
    return json.dumps(GOOD | fields)


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        (text(**{f"key{number}": 1 for number in range(20_000)}), "key0: Extra inputs are not permitted"),
        (text(**{f"key{number}": 1 for number in range(MAX_PARTS)}), f"more than {MAX_PARTS:,}"),
        (text(guidelines="a" * MAX_CHARACTERS), f"at most {MAX_CHARACTERS:,}"),
        (text(loop={"strategy_settings": {"a": json.loads("[" * MAX_DEPTH + "]" * MAX_DEPTH)}}), "levels deep"),
        ('{"workspace": ' + "[" * 100_000, "is not JSON"),
        (text(**{"a" * MANY: 1}), f"({MANY:,} characters)"),
        (text(teacher={"templates": ["a" * MANY]}), "must contain {} exactly once"),
        (text(labels=["spam ", "b"]), "labels.0.name: found 'spam '; allowed: one line of text without white space"),
        (text(gates={"max_drop": float("nan")}), "is not JSON"),
        ('"\\ud800"', "is not JSON"),
        (GOOD | {"guidelines": "a" * MANY, "a" * MANY: 1}, "guidelines: String should have at most"),
    ],
)
def test_json_is_refused_with_its_reason(spec: Any, says: str) -> None:
    assert says in refusal(spec)


def test_what_is_not_told_is_counted() -> None:
    message = refusal(START + "".join(f"key{number}: 1\n" for number in range(1_000)))
    told = message.splitlines()
    assert told[-1] == f"and {1_000 - len(told) + 1:,} more"


def test_the_largest_spec_is_read() -> None:
    labels = [{"name": f"label {number} ".ljust(199, "x") + "y", "description": "d" * 2_000} for number in range(1_000)]
    spec = text(labels=labels, guidelines="g" * 50_000)
    assert read_spec(spec) == checked_spec(spec)
