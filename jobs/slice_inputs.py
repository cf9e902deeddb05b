"""What a training of a comparison learns from: a slice of a task's labels, and as unlabelled texts all others but those
that judge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np

from jobs.context import RunContext
from jobs.training_inputs import RunInputs
from tornio.arrays import IntArray
from tornio.comparison.slices import judged_rows
from tornio.errors import InvalidInput
from tornio.labels.events import EventKind
from tornio.labels.resolve import resolve_under
from tornio.models.decide import decide_labels
from tornio.records import text_digest
from tornio.schemas.jobs import TrainArgs
from tornio.spec import TaskSpec
from tornio.stopping import StopPredictions
from tornio.tasks import TrainingSet, holdout_set, training_set
from tornio.training.hooks import Hooks
from tornio.training.methods.port import S, TrainedModel, TrainingMethod, Unlabelled
from tornio.training.targets import indicators
from tornio.training.thresholds import thresholds_of


class Frozen(Protocol):
    """The view of a task that a run looks at: ``CompareArgs`` or ``SimulateArgs``."""

    @property
    def label_seq(self) -> int: ...

    @property
    def pool_seq(self) -> int: ...

    @property
    def spec_rev(self) -> int: ...

    @property
    def on_test(self) -> bool:
        """The texts that were imported as hold-out judge."""


@dataclass(frozen=True, eq=False)
class Corpus:
    """The labelled texts of a comparison or a simulation.

    ``targets``: int64 [n, labels] of 0 and 1. ``test``: texts that only judge; None: a part of the labelled texts does.
    """

    data: TrainingSet
    targets: IntArray
    test: TrainingSet | None

    @classmethod
    def of(cls, args: Frozen, context: RunContext, spec: TaskSpec) -> Corpus:
        """The task's training labels, once for each text.

        They never include the hold-out, which judges versions and nothing else, and no labels by a model, which judge
        nothing.
        """
        task = context.task
        data = training_set(task, args.label_seq, args.pool_seq, spec, args.spec_rev)
        events = task.label_view(args.label_seq, args.spec_rev).events
        truth = resolve_under(spec, events)
        rows: dict[str, int] = {}
        for row, (name, text) in enumerate(zip(data.record_ids, data.texts, strict=True)):
            if truth[name].kind is not EventKind.AUTO:
                rows.setdefault(text_digest(text), row)
        data = _select(data, np.array(list(rows.values()), dtype=np.int64))
        test = None
        if args.on_test:
            held = holdout_set(context.task, args.label_seq, args.pool_seq, spec, args.spec_rev)
            test = TrainingSet(held.record_ids, held.texts, held.labels)
        return cls(data, indicators(data.labels, spec.label_names, spec.multi_label), test)

    def split(self, seed: int) -> tuple[IntArray, TrainingSet]:
        """Return the rows to learn from, int64, ascending, and the texts that judge."""
        if self.test is not None:
            return np.arange(len(self.data)), self.test
        judged = judged_rows(self.targets, seed)
        return np.setdiff1d(np.arange(len(self.data)), judged), self.rows(judged)

    def check_judges(self) -> None:
        """Raise InvalidInput where a test file has no text that may judge."""
        if self.test is not None and not len(self.test):
            raise InvalidInput(
                "no text judges: all texts of the test file occur in the training data. Give other texts."
            )

    def rows(self, rows: IntArray) -> TrainingSet:
        return _select(self.data, rows)


class SliceInputs(RunInputs[S]):
    """The ``Inputs`` of one training of a comparison."""

    def __init__(
        self,
        args: Frozen,
        context: RunContext,
        spec: TaskSpec,
        settings: S,
        seed: int,
        corpus: Corpus,
        rows: IntArray,
        judged: Sequence[str],
    ) -> None:
        """``rows``: those of the corpus to learn from. ``judged``: ids of the records that judge."""
        training = TrainArgs(
            generation=0,
            iteration=seed,
            label_seq=args.label_seq,
            pool_seq=args.pool_seq,
            spec_rev=args.spec_rev,
            parent=None,
        )
        super().__init__(training, context, spec, settings)
        self._corpus = corpus
        self._rows = rows
        view = self._view
        self._judged = frozenset(view.text_digests[int(row)] for row in view.rows_of(judged))

    @cached_property
    def training_set(self) -> TrainingSet:
        return self._corpus.rows(self._rows)

    @cached_property
    def unlabelled(self) -> Unlabelled:
        view, learned = self._view, set(self.training_set.record_ids)
        others = [name for name in self._corpus.data.record_ids if name not in learned]
        free = {*super().unlabelled.record_ids, *others}
        digests = view.text_digests
        rows = [row for row, name in enumerate(view.record_ids) if name in free and digests[row] not in self._judged]
        return Unlabelled(tuple(view.record_ids[row] for row in rows), tuple(view.texts[row] for row in rows))


def trained(method: TrainingMethod[S], inputs: SliceInputs[S], out: Path) -> TrainedModel:
    """Return the model that a method makes of a slice, with its files in ``out``, which is an empty folder."""
    model = method.fit(inputs, out, Hooks())
    if model is None:
        raise InvalidInput(f"the training method {method.name!r} returned no model")
    return model


def predicted(
    context: RunContext, pool_seq: int, spec: TaskSpec, model: TrainedModel, rows: Sequence[int] | IntArray
) -> StopPredictions:
    """Return what a model says of these rows of the pool, with the thresholds of the spec."""
    probabilities = context.pool_probabilities(model, pool_seq, rows)
    names, several = spec.label_names, spec.multi_label
    given = decide_labels(probabilities, names, several, thresholds_of(spec, model.head))
    return StopPredictions(names, several, probabilities, given)


def _select(data: TrainingSet, rows: IntArray) -> TrainingSet:
    ids, texts = tuple(data.record_ids[row] for row in rows), tuple(data.texts[row] for row in rows)
    return TrainingSet(ids, texts, tuple(data.labels[row] for row in rows))
