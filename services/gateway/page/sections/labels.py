"""The labels that train, class by class, and where the labels of the hold-out come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from services.gateway.page.charts import bar
from services.gateway.page.gather import TaskPage
from tornio.api import TaskStatus

SHOWN = 20
"""Most labels that are shown at once; the others are behind a click."""


@dataclass(frozen=True, slots=True)
class LabelRow:
    """``automatic``: those of ``labels`` that a model gave."""

    label: str
    labels: int
    automatic: int
    bar: Markup


@dataclass(frozen=True, slots=True)
class LabelMix:
    """``rows``: most frequent first. ``without``: how many labels have no training text."""

    status: TaskStatus
    rows: Sequence[LabelRow]
    total: int
    automatic: int
    without: int
    shown: int = SHOWN


def show(page: TaskPage) -> LabelMix:
    """Return the mix of labels. Raises PartUnread."""
    status = page.stands.get()
    counts = {name: status.training_labels.get(name, 0) for name in status.labels}
    most = max(counts.values(), default=0) or 1
    rows = [
        LabelRow(name, count, (auto := status.automatic_labels.get(name, 0)), bar(count / most, auto / most))
        for name, count in sorted(counts.items(), key=lambda one: -one[1])
    ]
    return LabelMix(
        status,
        rows,
        total=sum(counts.values()),
        automatic=sum(status.automatic_labels.values()),
        without=sum(not count for count in counts.values()),
    )
