"""What each annotator said of the texts that train, as an array. A pure function of pool, label log and spec."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from tornio.arrays import IntArray
from tornio.labels.events import EventKind, LabelEvent
from tornio.labels.resolve import Resolved, by_record, resolve_under, standing
from tornio.pool.view import PoolView
from tornio.records import Purpose
from tornio.spec import TaskSpec
from tornio.tasks.holdout import reserved_records

ENOUGH = 100
"""Texts with several answers from which on CROWDLAB decides. With fewer, annotators' weights are mostly chance."""


@dataclass(frozen=True, slots=True, eq=False)
class Answered:
    """The texts that annotators decide on and that are not held out, sorted by record_id, disputed ones included.

    ``votes``: int64 [n, annotators], the place of the label that each annotator chose; -1 where there is no answer.
    Each text has one at least.
    """

    record_ids: tuple[str, ...]
    texts: tuple[str, ...]
    votes: IntArray

    def __len__(self) -> int:
        return len(self.record_ids)

    @property
    def several(self) -> int:
        """Texts with more than one answer."""
        return int(((self.votes >= 0).sum(axis=1) > 1).sum())

    @property
    def lacking(self) -> int:
        """Texts with several answers that are lacking before CROWDLAB decides."""
        return max(0, ENOUGH - self.several)


def select_answered(view: PoolView, events: Iterable[LabelEvent], spec: TaskSpec, key: str) -> Answered:
    """Return what annotators said of each text that they decide on, where each text has one label.

    The hold-out is not among them. Neither are corrections of a review, because they outrank answers, nor texts with
    fewer than ``annotation.min_submitted`` answers. ``key``: the task's hold-out key.
    """
    events = tuple(events)
    resolved = resolve_under(spec, events)
    held = reserved_records(view, events, key, spec.loop.holdout_share)
    place = {name: number for number, name in enumerate(spec.label_names)}
    given: dict[str, dict[str, int]] = {}
    for record_id, of_record in sorted(by_record(events).items()):
        if record_id in view and record_id not in held and _decided_by_answers(resolved[record_id]):
            votes = _votes(of_record, place)
            if votes:
                given[record_id] = votes
    columns = {who: column for column, who in enumerate(sorted({who for votes in given.values() for who in votes}))}
    matrix = np.full((len(given), len(columns)), -1, dtype=np.int64)
    for row, votes in enumerate(given.values()):
        for who, label in votes.items():
            matrix[row, columns[who]] = label
    texts = tuple(view.texts[row] for row in view.rows_of(given).tolist())
    return Answered(tuple(given), texts, matrix)


def _decided_by_answers(truth: Resolved) -> bool:
    return truth.kind is EventKind.ANSWER and truth.purpose is not Purpose.HOLDOUT


def _votes(events: Iterable[LabelEvent], place: Mapping[str, int]) -> dict[str, int]:
    """Return the labels of one record by annotator; answers with a label that the task does not have are left out."""
    return {
        who: place[event.labels[0]]
        for who, event in standing(events).items()
        if event.event is EventKind.ANSWER and len(event.labels) == 1 and event.labels[0] in place
    }
