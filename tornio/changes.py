"""The differences between two specs of a task, and the effect of each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeGuard, cast

from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from tornio.spec import Change, Spec, TaskSpec
from tornio.spec.limits import cut


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field that differs: its ``path``, such as ``loop.stop.window``, and the effect of changing it."""

    path: str
    old: Any
    new: Any
    change: Change

    def __str__(self) -> str:
        """The change as users read it, such as ``loop.batch_size: 20 -> 10``."""
        return f"{self.path}: {_shown(self.old)} -> {_shown(self.new)}"


def describe_changes(old: TaskSpec, new: TaskSpec) -> tuple[FieldChange, ...]:
    """Return every field in which the specs differ, in the order of the spec; empty for equal specs.

    Labels that are added, removed, renamed or reordered count as one change of ``labels`` as a whole. A label of
    which only the description differs is a change of ``labels.{name}.description``.
    """
    return tuple(_differences(old, new))


def _differences(old: Spec, new: Spec, at: str = "") -> Iterator[FieldChange]:
    for name, info in type(old).model_fields.items():
        before, after = getattr(old, name), getattr(new, name)
        if before == after:
            continue
        if isinstance(before, Spec) and isinstance(after, Spec):
            yield from _differences(before, after, f"{at}{name}.")
        elif isinstance(old, TaskSpec) and isinstance(new, TaskSpec) and name == "labels":
            yield from _label_differences(old, new, info)
        elif _are_sections(before) and _are_sections(after) and len(before) == len(after):
            for number, (one, other) in enumerate(zip(before, after, strict=True), 1):
                yield from _differences(one, other, f"{at}{name} entry {number} ")
        else:
            yield FieldChange(f"{at}{name}", before, after, _change_of(info))


def _are_sections(value: object) -> TypeGuard[tuple[Spec, ...]]:
    return isinstance(value, tuple) and all(isinstance(one, Spec) for one in value)


def _label_differences(old: TaskSpec, new: TaskSpec, info: FieldInfo) -> Iterator[FieldChange]:
    if old.label_names != new.label_names:
        yield FieldChange("labels", old.label_names, new.label_names, _change_of(info))
    before = {label.name: label for label in old.labels}
    for label in new.labels:
        if label.name in before:
            yield from _differences(before[label.name], label, f"labels.{label.name}.")


def _shown(value: Any) -> str:
    """Return a value as a task.yaml could have it, or ``none``. Of a long one, return both ends."""
    if value is None:
        return "none"
    return cut(json.dumps(to_jsonable_python(value, exclude_none=True), ensure_ascii=False), 200)


def _change_of(info: FieldInfo) -> Change:
    return cast("dict[str, Change]", info.json_schema_extra)["change"]
