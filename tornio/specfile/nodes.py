"""The YAML of a task.yaml: parsed within bounds, with the line of every value."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from tornio.errors import InvalidSpec
from tornio.spec.limits import MAX_DEPTH, MAX_PARTS, check_size, cut, too_deep, too_many_parts
from tornio.specfile.places import Path, place

_STRING, _MERGE = "tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"
_TEXTS = {_STRING, _MERGE, "tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:value"}
SCALARS = {f"tag:yaml.org,2002:{name}" for name in ("bool", "int", "float", "null")}
_SYNTAX = {
    "\\t": "a tab: YAML indents with spaces, so write spaces instead",
    "mapping values are not allowed": "a ':' where YAML does not allow one: put quotes around a text that contains "
    "': ', and check the indentation",
    "another document": "a second document ('---'): a file describes exactly one task",
    "<block mapping start>": "an indentation that matches none of the lines above",
}


_OPENING = (
    yaml.BlockSequenceStartToken,
    yaml.BlockMappingStartToken,
    yaml.FlowSequenceStartToken,
    yaml.FlowMappingStartToken,
)
_CLOSING = (yaml.BlockEndToken, yaml.FlowSequenceEndToken, yaml.FlowMappingEndToken)


@dataclass(frozen=True, slots=True)
class Problem:
    """A line of the file, and what is wrong in it. It is said only if the error has room for it."""

    line: int
    say: Callable[[], str]


@dataclass
class Reading:
    """The parsed YAML, with the position of each value in the file."""

    nodes: dict[Path, yaml.Node] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
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
        if isinstance(node, yaml.ScalarNode) and node.tag in SCALARS:
            return _construct(node)
        if isinstance(node, yaml.ScalarNode) and node.tag in _TEXTS:
            return str(node.value)
        return self._refuse(node, f"the tag {cut(node.tag)!r}: tags are not allowed", path)

    def _items(self, node: yaml.MappingNode, path: Path) -> Iterator[tuple[str, Any]]:
        first: dict[str, int] = {}
        for key, value in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else None
            if name is None or key.tag == _MERGE:
                self._refuse(key, "a key that is not a plain name")
            elif name in first:
                self._refuse(key, f"{place((*path, name))} a second time; the first one is in line {first[name]}")
            else:
                first[name] = line_of(key)
                yield name, self.value(value, (*path, name))

    def _refuse(self, node: yaml.Node, what: str, path: Path = ()) -> None:
        self.refused.add(path)
        self.problems.append(Problem(line_of(node), lambda: f"found {what}"))

    def line(self, path: Path) -> int:
        """Return the line of the innermost part of the path that the file contains."""
        while path not in self.nodes:
            path = path[:-1]
        return line_of(self.nodes[path])

    def found(self, path: Path) -> str:
        """Return the value at the path as it is written in the file, or its kind if it is a mapping or a list."""
        node = self.nodes.get(path)
        if isinstance(node, yaml.ScalarNode):
            value = cut(node.value)
            written = repr(value) if node.tag == _STRING else value
            return written if node.value else "nothing"
        if node is None:
            return "nothing"
        return "a mapping" if isinstance(node, yaml.MappingNode) else "a list"


class _Loader(yaml.SafeLoader):
    """Counts tokens and levels while it reads, and refuses aliases: one could make a file contain itself."""

    def __init__(self, text: str, where: str) -> None:
        super().__init__(text)
        self._where = where
        self._tokens = self._depth = 0

    def get_token(self) -> Any:
        token = super().get_token()  # type: ignore[no-untyped-call]
        self._tokens += 1
        self._depth += isinstance(token, _OPENING) - isinstance(token, _CLOSING)
        if self._depth > MAX_DEPTH:
            raise too_deep(self._where)
        if self._tokens > MAX_PARTS:
            raise too_many_parts(self._where)
        if isinstance(token, yaml.AliasToken):
            raise InvalidSpec(
                f"{self._where}, line {token.start_mark.line + 1}: found an alias, *{cut(token.value)}: write the "
                "value out, or put quotes around a text that begins with '*'"
            )
        return token


def compose(text: str, where: str) -> yaml.Node | None:
    """Return the root of the YAML, or None for an empty file. Raises InvalidSpec."""
    check_size(text, where)
    text = text.removeprefix("\ufeff")
    try:
        return _Loader(text, where).get_single_node()
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


def line_of(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
