"""Output of commands: for people with rich, for programs as JSON. Progress and errors go to stderr.

All text reaches rich through this module. Text of users, files and servers is never markup, an emoji code or a control
sequence: it is shown as it is.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self, TypeVar

import rich.text
from pydantic import BaseModel
from pydantic_core import to_jsonable_python
from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.progress_bar import ProgressBar
from rich.style import Style
from rich.table import Table

from tornio.client import Progress as Advance
from tornio.records import Prediction
from tornio.visible import visible

__all__ = ["Advance", "Group", "ProgressBar", "RenderableType", "Table", "Text"]

T = TypeVar("T")
Answer = BaseModel | Prediction | Mapping[str, Any]
_LEAST = 12
"""Characters that a column of texts gets at least, unless it has less to show."""
_GAP = 2
"""Characters between two columns."""
WATCH_SECONDS = 2.0
"""Seconds between two looks of a command with --watch."""


class Text(rich.text.Text):
    """Text of a line or a table, in which control characters are visible."""

    def __init__(self, text: str = "", style: str | Style = "", **options: Any) -> None:
        super().__init__(visible(text), style, **options)

    def append(self, text: rich.text.Text | str, style: str | Style | None = None) -> Text:
        super().append(visible(text) if isinstance(text, str) else text, style)
        return self

    if TYPE_CHECKING:  # rich declares its own class as the result

        @classmethod
        def assemble(cls, *parts: Any, **options: Any) -> Self: ...


class _Terminal(Console):
    """A console on which a string is text: no markup, no emoji codes, no control characters."""

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **options)

    def render_str(self, text: str, **options: Any) -> rich.text.Text:
        return super().render_str(visible(text), **options)


def out() -> Console:
    """Return a console for the present standard output, so that a test's capture sees it."""
    return _Terminal()


def err() -> Console:
    return _Terminal(stderr=True)


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
    out().print(thing, crop=False)  # a terminal wraps an id that is too long; cropped, it could not be copied


def dump(answer: Answer | Sequence[Answer]) -> None:
    """Print the result as one JSON document."""
    print(_json(answer, indent=2))  # noqa: T201 - rich would wrap it


def dump_line(answer: Answer) -> None:
    """Print the result as a line of JSON and flush, because the next may take long and the reader may be a pipe."""
    print(_json(answer), flush=True)  # noqa: T201 - rich would wrap it


def dump_each(answers: Iterable[Answer]) -> None:
    """Print the results as one JSON list, each when it arrives. The list is also closed if the iterator raises."""
    separator = "["
    try:
        for answer in answers:
            print(separator, _json(answer), end="", sep="\n", flush=True)  # noqa: T201 - rich would wrap it
            separator = ","
    finally:
        print("[]" if separator == "[" else "\n]")  # noqa: T201


def _json(answer: Answer | Sequence[Answer], indent: int | None = None) -> str:
    value = dict(answer) if isinstance(answer, Mapping) else to_jsonable_python(answer, by_alias=False)
    return visible(json.dumps(value, ensure_ascii=False, indent=indent))


def table(columns: Sequence[str], rows: Iterable[Sequence[str | Text]]) -> Table:
    """Return a plain table. A column whose name begins with ``#`` holds numbers and is right-aligned. One that begins
    with ``=`` holds ids, which are never wrapped or cut, because a user copies them. A terminal that is too narrow for
    them wraps the lines itself, and no other column is squeezed to nothing."""
    result = Table(box=None, pad_edge=False, header_style="bold")
    cells = [tuple(row) for row in rows]
    least = 0
    for place, name in enumerate(columns):
        whole, title = name.startswith("="), name.lstrip("#=")
        widest = max((cell_len(visible(str(row[place]))) for row in cells), default=0)
        result.add_column(
            title,
            justify="right" if name.startswith("#") else "left",
            overflow="fold",
            no_wrap=whole,
            min_width=widest if whole else None,
        )
        widest = max(widest, cell_len(title))
        least += (widest if whole else min(widest, _LEAST)) + _GAP
    for row in cells:
        result.add_row(*row)
    if least - _GAP > out().width:
        result.width = least - _GAP
    return result


def watch(look: Callable[[], T], view: Callable[[T], RenderableType]) -> None:
    """Show the view of what ``look`` returns until it is interrupted. Off a terminal, print each view that differs."""
    console = out()
    if not console.is_terminal:
        _watch_lines(look, view)
        return
    with Live(view(look()), console=console, auto_refresh=False) as live:
        while True:
            time.sleep(WATCH_SECONDS)
            live.update(view(look()), refresh=True)


def _watch_lines(look: Callable[[], T], view: Callable[[T], RenderableType]) -> None:
    before: T | None = None
    while True:
        now = look()
        if now != before:
            show(view(now))
        before = now
        time.sleep(WATCH_SECONDS)


def watch_json(look: Callable[[], Answer]) -> None:
    """Print what ``look`` returns as a line of JSON, again and again until it is interrupted."""
    while True:
        dump_line(look())
        time.sleep(WATCH_SECONDS)


@contextmanager
def progress(what: str, total: int | None, quiet: bool = False) -> Iterator[Advance]:
    """Show a progress bar on stderr, on a terminal only. Yields a function to call with the number of items done."""
    with bars(quiet, TaskProgressColumn(), transient=True) as shown:
        if shown is None:
            yield lambda _: None
            return
        task = shown.add_task(visible(what), total=total)
        yield lambda done: shown.advance(task, done)


@contextmanager
def bars(quiet: bool, *columns: TaskProgressColumn, transient: bool = False) -> Iterator[Progress | None]:
    """Yield progress bars on stderr, or None if they are not wanted or stderr is not a terminal."""
    console = err()
    if quiet or not console.is_terminal:
        yield None
        return
    name = TextColumn("{task.description}", markup=False)
    with Progress(
        name,
        BarColumn(),
        MofNCompleteColumn(),
        *columns,
        TimeRemainingColumn(),
        console=console,
        transient=transient,
        redirect_stdout=False,  # results are printed meanwhile, and belong to the standard output
    ) as shown:
        yield shown


def ago(then: datetime, now: datetime) -> str:
    """Return a time span, such as ``3 min ago``."""
    seconds = max(0, int((now - then).total_seconds()))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} s ago"


def percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f} %"
