"""Places in a task.yaml, as messages name them, and the section of the spec that each belongs to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

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
        annotation, items = info.annotation, get_args(info.annotation)
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield from sections(annotation, (*at, name))
        elif items and isinstance(items[0], type) and issubclass(items[0], BaseModel):
            yield from sections(items[0], (*at, name, "[]"))
