"""What a command prints: for people with rich, for programs as JSON. Progress and complaints go to stderr."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from pydantic import BaseModel
from pydantic_core import to_jsonable_python
from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from tornio.client import Progress as Advance
from tornio.records import Prediction


def out() -> Console:
    """Standard output as it is now, so that a test's capture sees it."""
    return Console(highlight=False)


def err() -> Console:
    return Console(stderr=True, highlight=False)


def complain(message: str) -> None:
    """An error, in red, on one line of stderr (a line each where a file has several faults)."""
    err().print(Text(message, style="red"), soft_wrap=True)


def note(message: str, style: str = "dim") -> None:
    """Something beside the answer."""
    err().print(Text(message, style=style), soft_wrap=True)


def say(text: str | Text) -> None:
    """A line of the answer."""
    out().print(text if isinstance(text, Text) else Text(text), soft_wrap=True)


def show(thing: RenderableType) -> None:
    out().print(thing)


def dump(answer: BaseModel | Sequence[BaseModel | Prediction] | Mapping[str, Any]) -> None:
    """The answer as one JSON document."""
    if isinstance(answer, BaseModel):
        value: Any = answer.model_dump(mode="json")
    elif isinstance(answer, Mapping):
        value = dict(answer)
    else:
        value = to_jsonable_python(answer)
    print(json.dumps(value, ensure_ascii=False, indent=2))  # noqa: T201 - rich would wrap it


def dump_line(answer: BaseModel | Mapping[str, Any]) -> None:
    """The answer as a line of JSON, at once: what follows may take long, and the reader may be a pipe."""
    value = answer.model_dump(mode="json") if isinstance(answer, BaseModel) else dict(answer)
    print(json.dumps(value, ensure_ascii=False), flush=True)  # noqa: T201 - rich would wrap it


def table(*columns: str) -> Table:
    """A plain table; columns whose name begins with '#' are numbers, to the right."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        made.add_column(name.removeprefix("#"), justify="right" if name.startswith("#") else "left", overflow="fold")
    return made


@contextmanager
def progress(what: str, total: int | None, quiet: bool = False) -> Iterator[Advance]:
    """A bar on stderr while work goes on, on a terminal only; yields what to call as items are done."""
    console = err()
    if quiet or not console.is_terminal:
        yield lambda _: None
        return
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.advance(task, done)


def percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f} %"
