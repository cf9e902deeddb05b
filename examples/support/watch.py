"""Watch a task run: each served version is measured once on the test split, and shown."""

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
        accuracy=sum(one.right for one in answers) / len(answers),
        signal=trained.signal,
        swap_s=next((swap.seconds for swap in status.swaps if swap.version == version), None),
    )


def follow(curve: Curve, annotator: Annotator, traffic: Traffic | None, console: Console) -> TaskStatus:
    """Show the task until it has stopped by itself and its last version serves. Raises DemoFailed on time-out."""
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
                raise DemoFailed(f"{curve.task} did not stop in {LIMIT_S:.0f} s. It is {status.phase}: {status.why}")
            time.sleep(LOOK_S)


def has_ended(status: TaskStatus) -> bool:
    """Whether the task has stopped by itself and no version waits for its deployment."""
    return status.phase == "stopped" and status.candidate is None


def view(status: TaskStatus, points: list[Point], traffic: Traffic | None) -> RenderableType:
    """Return the live table."""
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
