"""The job ``auto-label``: decide which records of the pool get the label that a version predicts.

Only the hold-out labels of annotators judge, because they are of a random part of the pool; a test set that was
imported need not be like it. See ``tornio.evaluation.automatic`` for the test.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from jobs.context import RunContext
from tornio.arrays import BoolVector, FloatMatrix, FloatVector, IntArray
from tornio.evaluation import automatic
from tornio.evaluation.automatic import HeldOut, Measured
from tornio.labels.automatic import standing_labels, without_versions
from tornio.labels.label_sets import translate_label
from tornio.labels.resolve import by_record
from tornio.models.port import Model
from tornio.schemas.automatic import AutoLabelArgs, AutoLabelOutput, AutoMeasure, Outlook
from tornio.schemas.tables import AUTO_LABELS
from tornio.spec import AutoLabelSpec
from tornio.tasks.data import select_holdout, unlabelled_rows

__all__ = ["AutoLabelArgs", "run"]

BLOCK = 4096
"""Texts that pass through a model with an encoder of its own before their probabilities are let go."""


@dataclass(frozen=True, slots=True)
class _Predictions:
    """``confidences``: float32 [n], of the predicted label. ``predicted``: int64 [n], its number."""

    confidences: FloatVector
    predicted: IntArray

    def of(self, group: _Group) -> BoolVector:
        return np.isin(self.predicted, group.members)


@dataclass(frozen=True, slots=True)
class _Group:
    """Predicted labels with one threshold. ``name``: of its only label; None for all labels. ``members``: numbers."""

    name: str | None
    members: tuple[int, ...]
    confidence: float


def run(args: AutoLabelArgs, context: RunContext) -> AutoLabelOutput:
    """Return the thresholds, what the hold-out says about them, and where the labels are stored."""
    task, spec = context.task, context.task.spec_at(args.spec_rev)
    model = context.job.loader.model(context.registry.manifest(args.version))
    events = task.label_view(args.label_seq, args.spec_rev).events  # first the log: the pool then knows deletions
    view, given = task.pool.read(args.pool_seq), without_versions(events)
    decided = by_record(given)
    open_rows = [
        row
        for row in unlabelled_rows(view, given, spec, task.document.holdout_key)
        if view.record_ids[row] not in decided  # also those that people discarded, or dispute
    ]
    pool = _predict(context, model, args.pool_seq, open_rows)
    judged = select_holdout(view, given, spec, task.document.holdout_key)
    truth = {
        name: labels
        for name, labels in zip(judged.record_ids, judged.labels, strict=True)
        if name not in judged.imported
    }
    manifest = context.registry.manifest(args.version)
    sets = task.label_sets(task.label_set_rev(args.spec_rev))
    now = [translate_label(name, sets, manifest.label_set_rev) for name in model.labels]
    held = _held(now, _predict(context, model, args.pool_seq, view.rows_of(truth).tolist()), list(truth.values()))
    groups = _groups(spec.auto_label, model, now)
    thresholds, measures, outlook = dict[str, float](), list[AutoMeasure](), tuple[Outlook, ...]()
    for group in groups:
        mine, known = pool.confidences[pool.of(group)], _of(held, group)
        found = _threshold(args, spec.auto_label, model, group, mine, known)
        measures.append(_measure(spec.auto_label, group, found, len(mine) / max(1, len(open_rows))))
        if found is not None:
            thresholds |= {model.labels[member]: found.threshold for member in group.members}
        if len(groups) == 1 and spec.auto_label.target_error is not None:
            expected = automatic.outlook(mine, known, spec.auto_label.target_error, group.confidence)
            outlook = tuple(Outlook(holdout=labels, coverage=coverage) for labels, coverage in expected)
    allowed = np.flatnonzero(_allowed(pool, thresholds, model.labels))
    names = [view.record_ids[open_rows[place]] for place in allowed]
    labelled = {name for version, name in standing_labels(events) if version == args.version}
    chosen = allowed[_drawn(names, labelled, spec.auto_label.limit)]
    return AutoLabelOutput(
        version=args.version,
        label_set_rev=manifest.label_set_rev,
        thresholds=thresholds,
        lost=tuple(name for name in args.thresholds if thresholds.get(name) != args.thresholds[name]),
        target_error=spec.auto_label.target_error,
        confidence=spec.auto_label.confidence,
        measures=tuple(measures),
        outlook=outlook,
        holdout=len(truth),
        unlabelled=len(open_rows),
        allowed=len(allowed),
        labelled=len(chosen),
        labels=_store(context, [view.record_ids[open_rows[place]] for place in chosen], pool, chosen, model.labels),
    )


def _groups(wanted: AutoLabelSpec, model: Model, now: Sequence[str | None]) -> tuple[_Group, ...]:
    """Return what gets a threshold. The chance of a wrong bound is shared by the groups, so that all hold together.

    ``now``: what each label of the model is called by now; None if it was removed.
    """
    members = [number for number, name in enumerate(now) if name is not None]
    if not wanted.per_class:
        return (_Group(None, tuple(members), wanted.confidence),)
    confidence = 1 - (1 - wanted.confidence) / max(1, len(members))
    return tuple(_Group(model.labels[member], (member,), confidence) for member in members)


def _threshold(
    args: AutoLabelArgs, wanted: AutoLabelSpec, model: Model, group: _Group, pool: FloatVector, held: HeldOut
) -> Measured | None:
    """Return the threshold of a group. One by which the version labels already never becomes lower."""
    before = [args.thresholds[name] for name in _names(model, group) if name in args.thresholds]
    if args.thresholds and not before:
        return None  # it lost its bound before
    if wanted.target_error is None:
        confidence = (1 + group.confidence) / 2  # both ends of an interval
        least = max([float(np.float32(wanted.threshold or 1.0)), *before])
        return automatic.measured(pool, held, least, confidence)
    if args.recheck:
        passed = automatic.passes(*held.above(max(before)), wanted.target_error, group.confidence)
        return automatic.measured(pool, held, max(before), group.confidence) if passed else None
    found = automatic.choose_threshold(pool, held, wanted.target_error, group.confidence)
    if found is None or found.threshold >= max(before, default=0.0):
        return found
    return automatic.measured(pool, held, max(before), group.confidence)


def _names(model: Model, group: _Group) -> list[str]:
    return [model.labels[member] for member in group.members]


def _measure(wanted: AutoLabelSpec, group: _Group, found: Measured | None, share: float) -> AutoMeasure:
    """``share``: of the unlabelled texts for which a label of the group is predicted."""
    if found is None:
        return AutoMeasure(label=group.name)
    low = None
    if wanted.target_error is None:
        low = automatic.lower_bound(found.judged, found.wrong, (1 + group.confidence) / 2)
    return AutoMeasure(
        label=group.name,
        threshold=found.threshold,
        coverage=found.coverage * share,
        judged=found.judged,
        wrong=found.wrong,
        low=low,
        bound=found.bound,
    )


def _allowed(pool: _Predictions, thresholds: dict[str, float], labels: Sequence[str]) -> BoolVector:
    least = np.array([thresholds.get(name, np.inf) for name in labels])
    return np.asarray(pool.confidences >= least[pool.predicted], dtype=bool)


def _drawn(names: Sequence[str], labelled: set[str], limit: int) -> IntArray:
    """Return the places of at most ``limit`` of the names, ascending: those with a label, and then others at random.

    Whether a name is drawn follows from the name alone, not from how sure the version is.
    """
    if len(names) <= limit:
        return np.arange(len(names))
    order = [(name not in labelled, hashlib.sha256(name.encode()).digest(), place) for place, name in enumerate(names)]
    return np.sort(np.array([place for *_, place in sorted(order)[:limit]], dtype=np.int64))


def _held(now: Sequence[str | None], found: _Predictions, truth: Sequence[tuple[str, ...]]) -> HeldOut:
    right = [(now[number],) == labels for number, labels in zip(found.predicted, truth, strict=True)]
    return HeldOut(found.confidences, found.predicted, np.array(right, dtype=bool))


def _of(held: HeldOut, group: _Group) -> HeldOut:
    rows = np.isin(held.predicted, group.members)
    return HeldOut(held.confidences[rows], held.predicted[rows], held.right[rows])


def _predict(context: RunContext, model: Model, pool_seq: int, rows: Sequence[int]) -> _Predictions:
    """Predict these rows of the pool, without all their probabilities or vectors in memory at once."""
    use, found = model.shared_encoder, list[FloatMatrix]()
    if use is not None and len(rows):
        found.append(
            context.pool_rows(use, pool_seq, rows, lambda vectors: _best(model.score_vectors(vectors).probabilities))
        )
    else:
        for block in _blocks(rows):
            found.append(_best(context.pool_probabilities(model, pool_seq, block)))
            context.progress("predicting", sum(map(len, found)), len(rows), "texts")
    table = np.concatenate(found) if found else np.zeros((0, 2), np.float32)
    return _Predictions(table[:, 0], table[:, 1].astype(np.int64))


def _blocks(rows: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(rows), BLOCK):
        yield rows[start : start + BLOCK]


def _best(probabilities: FloatMatrix) -> FloatMatrix:
    """Return float32 [n, 2]: the probability of the predicted label, and its number."""
    answers = probabilities.argmax(axis=1)
    return np.stack([probabilities[np.arange(len(answers)), answers], answers.astype(np.float32)], axis=1)


def _store(
    context: RunContext, record_ids: list[str], pool: _Predictions, chosen: IntArray, labels: Sequence[str]
) -> str:
    columns = [
        pa.array(record_ids, pa.string()),
        pa.array([labels[number] for number in pool.predicted[chosen]], pa.string()),
        pa.array(pool.confidences[chosen], pa.float32()),
    ]
    key = context.keys.root + "labels.parquet"
    context.job.store.put(key, AUTO_LABELS.encode(pa.Table.from_arrays(columns, schema=AUTO_LABELS.columns)))
    return key
