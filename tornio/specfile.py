"""Reader of ``task.yaml``.

All errors of a file are reported together, one line per error: the line number, what was found there and what is
allowed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from tornio.errors import InvalidSpec
from tornio.spec import NAME_PATTERN, LabelSpec, TaskSpec

Path = tuple[str | int, ...]

_STRING, _MERGE = "tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"
_TEXTS = {_STRING, _MERGE, "tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:value"}
_SCALARS = {f"tag:yaml.org,2002:{name}" for name in ("bool", "int", "float", "null")}
_PATTERNS = {
    NAME_PATTERN: "lower-case letters, digits, '-' and '_', at most 63, beginning with a letter or digit",
    r"^\S(.*\S)?$": "one line of text without white space at either end",
}
_SYNTAX = {
    "\\t": "a tab: YAML indents with spaces, so write spaces instead",
    "mapping values are not allowed": "a ':' where YAML does not allow one: put quotes around a text that contains "
    "': ', and check the indentation",
    "another document": "a second document ('---'): a file describes exactly one task",
    "<block mapping start>": "an indentation that matches none of the lines above",
}


@dataclass(frozen=True, slots=True)
class _Problem:
    line: int
    text: str


@dataclass
class _Reading:
    """The parsed YAML, with the position of each value in the file."""

    nodes: dict[Path, yaml.Node] = field(default_factory=dict)
    problems: list[_Problem] = field(default_factory=list)
    refused: set[Path] = field(default_factory=set)

    def value(self, node: yaml.Node, path: Path = ()) -> Any:
        """Return the node as plain data. Record the node of each path, and report what YAML allows but Tornio does not.

        Anything that is reported is also added to ``refused``.
        """
        self.nodes[path] = node
        if isinstance(node, yaml.MappingNode) and node.tag.endswith(":map"):
            return dict(self._items(node, path))
        if isinstance(node, yaml.SequenceNode) and node.tag.endswith(":seq"):
            return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode) and node.tag in _SCALARS:
            return _construct(node)
        if isinstance(node, yaml.ScalarNode) and node.tag in _TEXTS:
            return str(node.value)
        return self._refuse(node, f"the tag {node.tag!r}: tags are not allowed", path)

    def _items(self, node: yaml.MappingNode, path: Path) -> Iterator[tuple[str, Any]]:
        first: dict[str, int] = {}
        for key, value in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else None
            if name is None or key.tag == _MERGE:
                self._refuse(key, "a key that is not a plain name")
            elif name in first:
                self._refuse(key, f"{_where((*path, name))} a second time; the first one is in line {first[name]}")
            else:
                first[name] = _line(key)
                yield name, self.value(value, (*path, name))

    def _refuse(self, node: yaml.Node, what: str, path: Path = ()) -> None:
        self.refused.add(path)
        self.problems.append(_Problem(_line(node), f"found {what}"))

    def line(self, path: Path) -> int:
        """Return the line of the innermost part of the path that the file contains."""
        while path not in self.nodes:
            path = path[:-1]
        return _line(self.nodes[path])

    def found(self, path: Path) -> str:
        """Return the value at the path as it is written in the file, or its kind if it is a mapping or a list."""
        node = self.nodes.get(path)
        if isinstance(node, yaml.ScalarNode):
            written = repr(node.value) if node.tag == _STRING else str(node.value)
            return written if node.value else "nothing"
        if node is None:
            return "nothing"
        return "a mapping" if isinstance(node, yaml.MappingNode) else "a list"


MAX_CHARACTERS = 4_000_000
"""Enough for a thousand labels with the longest descriptions."""
MAX_BRACKETS = 3_000


def read_spec(text: str, where: str = "task.yaml") -> TaskSpec:
    """Return the spec that a ``task.yaml`` describes. Messages call the file ``where``.

    Raises InvalidSpec with one line per error.
    """
    reading = _Reading()
    root = _compose(text, where)
    if root is None:
        raise InvalidSpec(f"{where} is empty. Give at least workspace, name and labels.")
    if not isinstance(root, yaml.MappingNode):
        raise InvalidSpec(
            f"{where}, line {_line(root)}: found no fields; write each field on a line of its own, as 'name: value'"
        )
    data = reading.value(root)
    problems = reading.problems + list(_labels_given_twice(data, reading))
    spec = None
    try:
        spec = TaskSpec.model_validate(data)
    except ValidationError as error:
        problems += _problems(error.errors(), reading, nothing_else=not problems)
    if problems or spec is None:
        problems.sort(key=lambda problem: problem.line)
        raise InvalidSpec("\n".join(f"{where}, line {problem.line}: {problem.text}" for problem in problems))
    return spec


def _compose(text: str, where: str) -> yaml.Node | None:
    text = text.removeprefix("\ufeff")
    if len(text) > MAX_CHARACTERS:
        raise InvalidSpec(f"{where} has {len(text):,} characters. A task.yaml may have at most {MAX_CHARACTERS:,}.")
    if sum(map(text.count, "[{")) > MAX_BRACKETS:  # each level costs the parser a stack frame and more than linear time
        raise InvalidSpec(f"{where} has more than {MAX_BRACKETS:,} opening brackets. Write one label per line.")
    try:
        for token in yaml.scan(text, Loader=yaml.SafeLoader):
            if isinstance(token, yaml.AliasToken):  # an alias could make a file contain itself
                line = token.start_mark.line + 1
                raise InvalidSpec(
                    f"{where}, line {line}: found an alias, *{token.value}: write the value out, or put "
                    "quotes around a text that begins with '*'"
                )
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except RecursionError as error:
        raise InvalidSpec(f"{where} is nested too deeply. A task.yaml has at most four levels.") from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        problem = error.problem or "something that is not YAML"
        found = next((text for sign, text in _SYNTAX.items() if sign in problem), None)
        raise InvalidSpec(
            f"{where}, line {line}: " + (f"found {found}" if found else f"not YAML: {problem}")
        ) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise InvalidSpec(
            f"{where}, line {line}: found the character {chr(int(error.character))!r}, which YAML does not allow: "
            "remove it"
        ) from error


def _construct(node: yaml.ScalarNode) -> Any:
    try:
        return yaml.constructor.SafeConstructor().construct_object(node)
    except ValueError:  # looks like a number but is not one, such as 0o9 or _
        return str(node.value)


def _labels_given_twice(data: Mapping[str, Any], reading: _Reading) -> Iterator[_Problem]:
    first: dict[str, int] = {}
    labels = data.get("labels")
    for index, label in enumerate(labels if isinstance(labels, list) else ()):
        name = label.get("name") if isinstance(label, dict) else label
        line = reading.line(("labels", index))
        if isinstance(name, str) and name in first:
            yield _Problem(line, f"found label {name!r} a second time; the first one is in line {first[name]}")
        elif isinstance(name, str):
            first[name] = line


def _problems(errors: list[ErrorDetails], reading: _Reading, *, nothing_else: bool) -> Iterator[_Problem]:
    paths = [error["loc"] for error in errors]
    for error in errors:
        path = error["loc"]
        # An error of a whole follows from the errors of its parts, or from one that is already reported.
        of_parts = error["type"] == "too_short" and any(other[: len(path)] == path != other for other in paths)
        if not of_parts and path not in reading.refused and (path or nothing_else):
            yield _Problem(reading.line(path), _message(error, reading))


def _message(error: ErrorDetails, reading: _Reading) -> str:
    path, kind, context = error["loc"], error["type"], error.get("ctx", {})
    at, found = _where(path), reading.found(path)
    if kind == "extra_forbidden":
        return _unknown(path)
    if kind == "missing":
        return f"{at} is missing: {_describe(path)}".rstrip(": ")
    if kind == "value_error":
        reason = str(context["error"])
        return reason if at in reason else f"{at}: {reason}"
    of_text = kind == "string_type" or (kind == "model_type" and path[0] == "labels")
    if of_text and _is_unquoted(reading.nodes.get(path)):
        return f'{at}: found {found}, which YAML does not read as text; put quotes around it, "{found}"'
    if kind == "bool_parsing":
        return f"{at}: found {found}; allowed: true, false"
    if kind == "model_type":
        return f"{at}: found {found}; {_section_advice(path)}"
    if kind == "tuple_type":
        return f"{at}: found {found}; it must be a list, each entry on a line that begins with '- '"
    if kind == "string_pattern_mismatch":
        return f"{at}: found {found}; allowed: {_PATTERNS.get(context['pattern'], context['pattern'])}"
    if kind == "literal_error":
        allowed = re.findall(r"'([^']*)'", context["expected"])
        return f"{at}: found {found}; allowed: {', '.join(allowed)}{_did_you_mean(str(error['input']), allowed)}"
    if kind == "too_short":
        return f"{at}: found {context['actual_length']} entries; give at least {context['min_length']}"
    rule = error["msg"].replace("Input should", "it must", 1).replace("String should", "it must", 1)
    return f"{at}: found {found}; {rule.removesuffix(', unable to parse string as a number')}"


def _unknown(path: Path) -> str:
    *section, name = path
    model = _model(tuple(section))
    known = list(model.model_fields) if model else []
    guess = _did_you_mean(str(name), known)
    if not guess:
        homes = [_where((*home, str(name))) for home, other in _sections(TaskSpec) if name in other.model_fields]
        guess = f"; did you mean {' or '.join(homes)}?" if homes else ""
    return f"{_where(path)} is not a field{guess or '; the fields here are: ' + ', '.join(known)}"


def _did_you_mean(name: str, known: list[str]) -> str:
    near = get_close_matches(name.lower().replace(" ", "_"), known, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _is_unquoted(node: yaml.Node | None) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag in _SCALARS and bool(node.value)


def _section_advice(path: Path) -> str:
    if path[0] == "labels":
        return "a label is a text, or a mapping with name and description"
    model = _model(path)
    known = ", ".join(model.model_fields) if model else ""
    return f"remove it, or indent its fields below it ({known})"


def _where(path: Path) -> str:
    """Return the path as messages show it, such as ``loop.stop.window`` or ``labels entry 3 name``."""
    parts = [f" entry {step + 1} " if isinstance(step, int) else f".{step}" for step in path]
    return "".join(parts).replace(" .", " ").strip(" .")


def _describe(path: Path) -> str:
    model = _model(path[:-1])
    info = model.model_fields.get(str(path[-1])) if model else None
    return (info.description or "") if info else ""


def _model(section: Path) -> type[BaseModel] | None:
    """Return the model that describes this section of the file."""
    names = tuple("[]" if isinstance(step, int) else step for step in section)
    return dict(_sections(TaskSpec)).get(names)


def _sections(model: type[BaseModel], at: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], type[BaseModel]]]:
    yield at, model
    for name, info in model.model_fields.items():
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            yield from _sections(info.annotation, (*at, name))
    if model is TaskSpec:
        yield ("labels", "[]"), LabelSpec


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
