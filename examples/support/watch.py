"""Watch two tasks run at the same time: each served version is measured once on the test split, and shown."""

from __future__ import annotations

import csv
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from examples.support.annotator import Annotator
from examples.support.server import DemoFailed
from examples.support.story import Answer, Point
from examples.support.traffic import Traffic
from tornio.api import TaskStatus
from tornio.client import Client
from tornio.errors import NotServable
from tornio.records import Prediction

LOOK_S = 0.5
LIMIT_S = 600.0
"""Seconds after which a task that has not stopped is given up."""


@dataclass(frozen=True)
class Split:
    """Texts and their true labels. Only the demo reads the labels; the system only gets the texts to classify."""

    texts: list[str]
    labels: list[str]

    @classmethod
    def read(cls, path: Path) -> Self:
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        return cls([row["text"] for row in rows], [row["label"] for row in rows])


@dataclass
class Curve:
    """The served versions with their measurements, and the predictions of the last one."""

    client: Client
    task: str
    test: Split
    points: list[Point] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)

    def has(self, version: str) -> bool:
        return any(point.version == version for point in self.points)

    def measure(self, status: TaskStatus) -> Point | None:
        """Measure the served version, if it is new. Returns its point of the curve, or None."""
        if status.serving is None or self.has(status.serving.version):
            return None
        try:
            predictions = self.client.predict(self.task, self.test.texts)
        except NotServable:  # `current` has just moved for the first time, and the replicas follow
            return None
        if {prediction.version for prediction in predictions} != {status.serving.version}:
            return None  # a swap came in between; the next look measures a single version
        self.answers = [answer(*one) for one in zip(self.test.texts, self.test.labels, predictions, strict=True)]
        self.points.append(point(status, status.serving.version, self.answers))
        return self.points[-1]


def answer(text: str, label: str, prediction: Prediction) -> Answer:
    first, second = sorted(prediction.probabilities.values(), reverse=True)[:2]
    return Answer(text, label, prediction.labels[0], first, first - second)


def point(status: TaskStatus, version: str, answers: list[Answer]) -> Point:
    """Return a version's point of the curve. Raises DemoFailed for a version that no iteration of the status made."""
    trained = next((one for one in status.curve if one.version == version), None)
    if trained is None:
        raise DemoFailed(f"{version} is served, but no iteration of {status.workspace}/{status.task} trained it.")
    return Point(
        version=version,
        iteration=trained.iteration,
        labels=trained.labels + (trained.holdout or 0),
        right=tuple(one.right for one in answers),
        signal=trained.signal,
        swap_s=next((swap.seconds for swap in status.swaps if swap.version == version), None),
    )


def await_first(curve: Curve, console: Console) -> None:
    """Wait until a first version serves and is measured. Raises DemoFailed on time-out."""
    deadline = time.monotonic() + LIMIT_S
    while not curve.points:
        status = _look(curve, "", console)
        if time.monotonic() > deadline:
            raise DemoFailed(f"{curve.task} served nothing in {LIMIT_S:.0f} s. It is {status.phase}: {status.why}")
        time.sleep(LOOK_S)


def follow(
    chosen: Curve, random: Curve, annotators: Sequence[Annotator], traffic: Traffic, console: Console
) -> TaskStatus:
    """Show both tasks until each has stopped by itself and its last version serves.

    Returns the last status of ``chosen``. Raises DemoFailed on time-out.
    """
    deadline = time.monotonic() + LIMIT_S
    with Live(console=console, auto_refresh=False, transient=False) as live:
        while True:
            statuses = [_look(curve, name, console) for curve, name in ((chosen, ""), (random, "at random, "))]
            live.update(view(statuses[0], chosen.points, random.points, traffic), refresh=console.is_terminal)
            if all(_is_done(*one) for one in zip((chosen, random), statuses, strict=True)):
                return statuses[0]
            for thread in (*annotators, traffic):
                thread.check()
            if time.monotonic() > deadline:
                late = next(one for one in statuses if not has_ended(one))
                raise DemoFailed(f"{late.task} did not stop in {LIMIT_S:.0f} s. It is {late.phase}: {late.why}")
            time.sleep(LOOK_S)


def has_ended(status: TaskStatus) -> bool:
    """Whether the task has stopped by itself and no version waits for its deployment."""
    return status.phase == "stopped" and status.candidate is None


def _look(curve: Curve, name: str, console: Console) -> TaskStatus:
    """Return the task's status. A new version is measured, and written on a line where no table is shown."""
    status = curve.client.status(curve.task)
    new = curve.measure(status)
    if new is not None and not console.is_terminal:
        console.print(name + _line(new), highlight=False, soft_wrap=True)
    return status


def _is_done(curve: Curve, status: TaskStatus) -> bool:
    return has_ended(status) and (status.serving is None or curve.has(status.serving.version))


def view(
    status: TaskStatus, chosen: Sequence[Point], random: Sequence[Point], traffic: Traffic | None
) -> RenderableType:
    """Return the live table: the watched task, and in the same row the random one after as many batches."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("batch", "labels", "accuracy (95 %)", "random", "accuracy (95 %)", "serving", "swap"):
        table.add_column(column, justify="right")
    rows = [{point.iteration: point for point in points} for points in (chosen, random)]
    for iteration in sorted(rows[0].keys() | rows[1].keys()):
        ours, theirs = (one.get(iteration) for one in rows)
        table.add_row(str(iteration), *_figures(ours), *_figures(theirs), ours.version if ours else "", _swap(ours))
    title = Text.assemble((f"{status.workspace}/{status.task}", "bold"), f"  {status.phase}: {status.why}")
    parts: list[RenderableType] = [title, table]
    if traffic is not None:
        load = traffic.load
        failed = Text(f"{len(load.failed)} failed", style="bold red" if load.failed else "green")
        parts.append(Text.assemble(f"{load.sent} predictions sent meanwhile, ", failed))
    return Group(*parts)


def _figures(one: Point | None) -> tuple[str, str]:
    """Return the number of labels, and the accuracy with its interval."""
    if one is None:
        return "", ""
    low, high = one.interval
    return str(one.labels), f"{_short(one.accuracy, 3)} ({_short(low, 2)}-{_short(high, 2)})"


def _short(share: float, digits: int) -> str:
    """Return a share without the 0 before its point, so that the table fits 80 columns."""
    return f"{share:.{digits}f}".removeprefix("0")


def _swap(one: Point | None) -> str:
    return "" if one is None or one.swap_s is None else f"{one.swap_s:.2f} s"


def _line(one: Point) -> str:
    labels, accuracy = _figures(one)
    return f"batch {one.iteration}: {labels} labels, test accuracy {accuracy}, {one.version} serves, swap {_swap(one)}"
