"""Watching a task turn: each version that serves is measured once on the test split, and shown."""

from __future__ import annotations

import csv
import time
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
    """Texts and their true labels, for the eyes of the demo alone: the system gets the texts to classify, no more."""

    texts: list[str]
    labels: list[str]

    @classmethod
    def read(cls, path: Path) -> Self:
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        return cls([row["text"] for row in rows], [row["label"] for row in rows])


@dataclass
class Curve:
    """The versions that served, measured; and what the last of them answered."""

    client: Client
    task: str
    test: Split
    points: list[Point] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)

    def has(self, version: str) -> bool:
        return any(point.version == version for point in self.points)

    def measure(self, status: TaskStatus) -> Point | None:
        """The point of the version that serves now, if it is a new one."""
        if status.serving is None or self.has(status.serving.version):
            return None
        try:
            said = self.client.predict(self.task, self.test.texts)
        except NotServable:  # `current` has just moved for the first time: the replicas are at it
            return None
        if {prediction.version for prediction in said} != {status.serving.version}:
            return None  # a swap came in between: the next look measures one version whole
        self.answers = [answer(*one) for one in zip(self.test.texts, self.test.labels, said, strict=True)]
        self.points.append(point(status, status.serving.version, self.answers))
        return self.points[-1]


def answer(text: str, label: str, said: Prediction) -> Answer:
    first, second = sorted(said.probabilities.values(), reverse=True)[:2]
    return Answer(text, label, said.labels[0], first, first - second)


def point(status: TaskStatus, version: str, answers: list[Answer]) -> Point:
    """A version's place in the curve. Raises DemoFailed for a version that no iteration of the status made."""
    made = next((one for one in status.curve if one.version == version), None)
    if made is None:
        raise DemoFailed(f"{version} serves, but no iteration of {status.workspace}/{status.task} made it")
    return Point(
        version=version,
        iteration=made.iteration,
        labels=made.labels + (made.holdout or 0),
        accuracy=sum(one.right for one in answers) / len(answers),
        signal=made.signal,
        swap_s=next((swap.seconds for swap in status.swaps if swap.version == version), None),
    )


def follow(curve: Curve, annotator: Annotator, traffic: Traffic | None, console: Console) -> TaskStatus:
    """Show the task until it has stopped by itself and its last version serves. Raises DemoFailed after a while."""
    deadline = time.monotonic() + LIMIT_S
    with Live(console=console, auto_refresh=False, transient=False) as live:
        while True:
            status = curve.client.status(curve.task)
            new = curve.measure(status)
            live.update(view(status, curve.points, traffic), refresh=console.is_terminal)
            if new is not None and not console.is_terminal:
                console.print(_line(new), highlight=False, soft_wrap=True)
            if has_ended(status) and (status.serving is None or curve.has(status.serving.version)):
                return status
            annotator.check()
            if traffic is not None:
                traffic.check()
            if time.monotonic() > deadline:
                raise DemoFailed(f"{curve.task} did not stop in {LIMIT_S:.0f} s; it is {status.phase}: {status.why}")
            time.sleep(LOOK_S)


def has_ended(status: TaskStatus) -> bool:
    """Whether the task has stopped by itself and nothing waits to be swapped."""
    return status.phase == "stopped" and status.candidate is None


def view(status: TaskStatus, points: list[Point], traffic: Traffic | None) -> RenderableType:
    """The live table."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("iteration", "labels", "test accuracy", "stop signal", "version serving", "swap"):
        table.add_column(column, justify="right")
    for one in points:
        table.add_row(*_cells(one))
    title = Text.assemble((f"{status.workspace}/{status.task}", "bold"), f"  {status.phase}: {status.why}")
    parts: list[RenderableType] = [title, table]
    if traffic is not None:
        load = traffic.load
        failed = Text(f"{len(load.failed)} failed", style="bold red" if load.failed else "green")
        parts.append(Text.assemble(f"{load.sent} predictions sent meanwhile, ", failed))
    return Group(*parts)


def _cells(one: Point) -> tuple[str, ...]:
    return (
        str(one.iteration),
        str(one.labels),
        f"{one.accuracy:.3f}",
        "" if one.signal is None else f"{one.signal:.3f}",
        one.version,
        "" if one.swap_s is None else f"{one.swap_s:.2f} s",
    )


def _line(one: Point) -> str:
    iteration, labels, accuracy, _, version, swap = _cells(one)
    return f"iteration {iteration}: {labels} labels, test accuracy {accuracy}, {version} serves, swap {swap}"
