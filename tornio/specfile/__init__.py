"""Reader of ``task.yaml``.

All errors of a file are reported together, one line per error: the line number, what was found there and what is
allowed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from tornio.errors import InvalidSpec
from tornio.spec import TaskSpec
from tornio.spec.limits import cut, told
from tornio.specfile.messages import message
from tornio.specfile.nodes import Problem, Reading, compose, line_of

__all__ = ["read_spec"]


def read_spec(text: str, where: str = "task.yaml") -> TaskSpec:
    """Return the spec that a ``task.yaml`` describes. Messages call the file ``where``.

    Raises InvalidSpec with one line per error.
    """
    reading = Reading()
    root = compose(text, where)
    if root is None:
        raise InvalidSpec(f"{where} is empty. Give at least workspace, name and labels.")
    if not isinstance(root, yaml.MappingNode):
        raise InvalidSpec(
            f"{where}, line {line_of(root)}: found no fields; write each field on a line of its own, as 'name: value'"
        )
    data = reading.value(root)
    problems = reading.problems + list(_labels_given_twice(data, reading))
    spec = None
    try:
        spec = TaskSpec.model_validate(data)
    except ValidationError as error:
        problems += _problems(error.errors(include_url=False), reading, nothing_else=not problems)
    if problems or spec is None:
        problems.sort(key=lambda problem: problem.line)
        raise InvalidSpec(told(problems, lambda problem: f"{where}, line {problem.line}: {problem.say()}"))
    return spec


def _labels_given_twice(data: Mapping[str, Any], reading: Reading) -> Iterator[Problem]:
    first: dict[str, int] = {}
    labels = data.get("labels")
    for index, label in enumerate(labels if isinstance(labels, list) else ()):
        name = label.get("name") if isinstance(label, dict) else label
        line = reading.line(("labels", index))
        if isinstance(name, str) and name in first:
            yield Problem(line, partial(_again, name, first[name]))
        elif isinstance(name, str):
            first[name] = line


def _again(name: str, line: int) -> str:
    return f"found label {cut(name)!r} a second time; the first one is in line {line}"


def _problems(errors: list[ErrorDetails], reading: Reading, *, nothing_else: bool) -> Iterator[Problem]:
    paths = [error["loc"] for error in errors]
    for error in errors:
        path = error["loc"]
        # An error of a whole follows from the errors of its parts, or from one that is already reported.
        of_parts = error["type"] == "too_short" and any(other[: len(path)] == path != other for other in paths)
        if not of_parts and path not in reading.refused and (path or nothing_else):
            yield Problem(reading.line(path), partial(message, error, reading))
