"""Places in a task.yaml, as messages name them, and the section of the spec that each belongs to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from tornio.spec import TaskSpec
from tornio.spec.limits import cut

Path = tuple[str | int, ...]


def place(path: Path) -> str:
    """Return the path as messages show it, such as ``loop.stop.window`` or ``labels entry 3 name``."""
    parts = [f" entry {step + 1} " if isinstance(step, int) else f".{cut(step)}" for step in path]
    return "".join(parts).replace(" .", " ").strip(" .")


def model_at(section: Path) -> type[BaseModel] | None:
    """Return the model that describes this section of the file."""
    names = tuple("[]" if isinstance(step, int) else step for step in section)
    return dict(sections(TaskSpec)).get(names)


def sections(model: type[BaseModel], at: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], type[BaseModel]]]:
    """Yield the model and those of its fields, with the place of each; ``[]`` stands for an entry of a list."""
    yield at, model
    for name, info in model.model_fields.items():
        for steps, section in _models(info.annotation):
            yield from sections(section, (*at, name, *steps))


def _models(annotation: Any) -> Iterator[tuple[tuple[str, ...], type[BaseModel]]]:
    """Yield the models in the type of a field, which may be optional or a list, with the steps that lead to each."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield (), annotation
        return
    entry = ("[]",) if get_origin(annotation) is tuple else ()
    for part in get_args(annotation):
        for steps, model in _models(part):
            yield (*entry, *steps), model
