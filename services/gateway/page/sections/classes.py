"""Scores of each label on the hold-out, and which labels the version mistakes for each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from services.gateway.page.charts import bar
from services.gateway.page.gather import TaskPage
from services.gateway.page.words import Judged, judged

SMALL = 12
"""Most labels of which everything is shown at once."""
SHOWN = 10
"""Of more labels: the worst ones and the most confused pairs that are shown at once."""
_SHADES = 10


@dataclass(frozen=True, slots=True)
class ClassRow:
    """The figures of a label. ``support``: hold-out texts that have it."""

    label: str
    precision: float
    recall: float
    f1: float
    support: int
    bar: Markup


@dataclass(frozen=True, slots=True)
class Pair:
    """``count`` texts of the label ``true`` were predicted as ``predicted``: this ``share`` of the label's texts."""

    true: str
    predicted: str
    count: int
    share: float


@dataclass(frozen=True, slots=True)
class MatrixRow:
    """``cells``: of a table, as markup, because a template takes too long for 150 times 150 of them."""

    label: str
    cells: Markup


@dataclass(frozen=True, slots=True)
class Classes:
    """``rows``: the worst first; those that no hold-out text has come last. ``matrix``: rows are true labels; empty
    where texts may have several labels."""

    version: str
    scores: Sequence[Judged]
    rows: Sequence[ClassRow]
    unseen: int
    pairs: Sequence[Pair]
    matrix: Sequence[MatrixRow]
    macro_f1: float | None
    calibration_error: float | None
    small: bool
    shown: int = SHOWN


def show(page: TaskPage) -> Classes | None:
    """Return the figures of each label; None where the version was not judged. Raises PartUnread."""
    metrics = page.stands.get().metrics
    if metrics is None or not (per_class := metrics.values.get("per_class")):
        return None
    # Release 0.2 did not store the order of the confusion, which is not that of ``per_class``.
    names = metrics.values.get("labels", ())
    counts = metrics.values.get("confusion", ()) if names else ()
    rows = sorted(_rows(per_class), key=lambda row: (not row.support, row.f1))
    pairs = sorted(_pairs(names, counts), key=lambda pair: (-pair.count, -pair.share))
    return Classes(
        version=metrics.version,
        scores=list(judged(metrics)),
        rows=rows,
        unseen=sum(not row.support for row in rows),
        pairs=pairs[:SHOWN],
        matrix=list(_matrix(names, counts)),
        macro_f1=metrics.values.get("macro_f1"),
        calibration_error=metrics.calibration_error,
        small=len(per_class) <= SMALL,
    )


def _rows(per_class: Mapping[str, Mapping[str, Any]]) -> Iterator[ClassRow]:
    for label, one in per_class.items():
        yield ClassRow(label, one["precision"], one["recall"], one["f1"], one["support"], bar(one["f1"]))


def _pairs(names: Sequence[str], counts: Sequence[Sequence[int]]) -> Iterator[Pair]:
    for i, row in enumerate(counts):
        for j, count in enumerate(row):
            if count and i != j:
                yield Pair(names[i], names[j], count, count / sum(row))


def _matrix(names: Sequence[str], counts: Sequence[Sequence[int]]) -> Iterator[MatrixRow]:
    for i, row in enumerate(counts):
        whole = sum(row) or 1
        yield MatrixRow(names[i], Markup("".join(_cell(count, whole, i == j) for j, count in enumerate(row))))


def _cell(count: int, whole: int, right: bool) -> str:
    """Return a cell that is the darker, the larger its share of the row is."""
    if not count:
        return '<td class="none"></td>'
    return f'<td class="{"right" if right else "wrong"} h{round(_SHADES * count / whole)}">{count}</td>'
