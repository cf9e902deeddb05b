"""What a spec may cost whoever reads it, and how much of it an error may repeat."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from tornio.errors import InvalidSpec

T = TypeVar("T")

MAX_CHARACTERS = 2_500_000
"""Enough for a thousand labels with the longest descriptions, and the longest guidelines."""
MAX_PARTS = 50_000
"""Keys, values and list entries (in YAML: tokens). A thousand labels with descriptions have a fifth of it."""
MAX_DEPTH = 20
"""Levels of nesting. Tornio's own sections have four; the settings of a package may have some more."""
MAX_TOLD = 8_000
"""Characters of all errors of a spec together."""
_LONGEST_LINE = 1_000
_LONGEST_VALUE = 200


def check_size(text: str, where: str) -> None:
    """Raises InvalidSpec for a text that is too long to be read."""
    if len(text) > MAX_CHARACTERS:
        raise InvalidSpec(
            f"{where} has {len(text):,} characters. A task.yaml may have at most {MAX_CHARACTERS:,}: shorten the "
            "descriptions and guidelines."
        )


def too_many_parts(where: str) -> InvalidSpec:
    return InvalidSpec(
        f"{where} has more than {MAX_PARTS:,} keys, values and list entries, far more than a task.yaml needs. Check "
        "that it is the file that you meant."
    )


def too_deep(where: str) -> InvalidSpec:
    return InvalidSpec(f"{where} is nested more than {MAX_DEPTH} levels deep. A task.yaml has about four levels.")


def check_parts(value: object, where: str) -> None:
    """Raises InvalidSpec for parsed JSON with too many parts or levels."""
    parts, level = 0, [value]
    for _ in range(MAX_DEPTH + 1):
        level = [inner for outer in level for inner in _inside(outer)]
        parts += len(level)
        if parts > MAX_PARTS:
            raise too_many_parts(where)
        if not level:
            return
    raise too_deep(where)


def _inside(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def cut(text: str, most: int = _LONGEST_VALUE) -> str:
    """Return a value as an error repeats it: its two ends if it is long."""
    if len(text) <= most:
        return text
    return f"{text[: most - most // 3]}... ({len(text):,} characters) ...{text[-(most // 3) :]}"


def told(problems: Sequence[T], say: Callable[[T], str]) -> str:
    """Return a line for each problem, in order. The rest is counted once the lines have ``MAX_TOLD`` characters."""
    lines: list[str] = []
    room = MAX_TOLD
    for index, problem in enumerate(problems):
        line = cut(say(problem), _LONGEST_LINE)
        room -= len(line) + 1
        if room < 0:
            return "\n".join([*lines, f"and {len(problems) - index:,} more"])
        lines.append(line)
    return "\n".join(lines)
