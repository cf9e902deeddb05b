"""Output of commands: for people with rich, for programs as JSON. Progress and errors go to stderr."""

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
    """Return a console for the present standard output, so that a test's capture sees it."""
    return Console(highlight=False)


def err() -> Console:
    return Console(stderr=True, highlight=False)


def complain(message: str) -> None:
    """Print an error in red on stderr, one line per error."""
    err().print(Text(message, style="red"), soft_wrap=True)


def note(message: str, style: str = "dim") -> None:
    """Print additional information on stderr."""
    err().print(Text(message, style=style), soft_wrap=True)


def say(text: str | Text) -> None:
    """Print a line of the result."""
    out().print(text if isinstance(text, Text) else Text(text), soft_wrap=True)


def show(thing: RenderableType) -> None:
    out().print(thing)


def dump(answer: BaseModel | Sequence[BaseModel | Prediction] | Mapping[str, Any]) -> None:
    """Print the result as one JSON document."""
    if isinstance(answer, BaseModel):
        value: Any = answer.model_dump(mode="json")
    elif isinstance(answer, Mapping):
        value = dict(answer)
    else:
        value = to_jsonable_python(answer)
    print(json.dumps(value, ensure_ascii=False, indent=2))  # noqa: T201 - rich would wrap it


def dump_line(answer: BaseModel | Mapping[str, Any]) -> None:
    """Print the result as a line of JSON and flush, because the next may take long and the reader may be a pipe."""
    value = answer.model_dump(mode="json") if isinstance(answer, BaseModel) else dict(answer)
    print(json.dumps(value, ensure_ascii=False), flush=True)  # noqa: T201 - rich would wrap it


def table(*columns: str) -> Table:
    """Return a plain table. Columns whose name begins with '#' hold numbers and are right-aligned."""
    result = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        result.add_column(name.removeprefix("#"), justify="right" if name.startswith("#") else "left", overflow="fold")
    return result


@contextmanager
def progress(what: str, total: int | None, quiet: bool = False) -> Iterator[Advance]:
    """Show a progress bar on stderr, on a terminal only. Yields a function to call with the number of items done."""
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
