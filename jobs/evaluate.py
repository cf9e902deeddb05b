"""Judge a version: its integrity, its scores on the held-out labels, and the signals of stopping criteria."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jobs.context import RunContext
from tornio.drift.counts import confidence_of, count
from tornio.drift.reference import reference
from tornio.errors import IntegrityError, InvalidInput, describe
from tornio.evaluation import against_current, holdout_report, judge
from tornio.labels.label_sets import translate_labels
from tornio.models.decide import decide_labels
from tornio.models.port import Model
from tornio.schemas.jobs import EvaluateArgs, EvaluateOutput
from tornio.schemas.live import LiveReference
from tornio.schemas.loop import AGREEMENT
from tornio.schemas.task import KAPPA, StopSet
from tornio.schemas.trial import AgainstCurrent
from tornio.seeds import derive_seed
from tornio.spec import TaskSpec
from tornio.stopping import BUILT_IN, CRITERIA, StopPredictions, single_criteria
from tornio.storage import documents
from tornio.tasks import HoldoutSet, Task, holdout_set

__all__ = ["EvaluateArgs", "run"]

log = logging.getLogger(__name__)
Labels = Sequence[tuple[str, ...]]


def run(args: EvaluateArgs, context: RunContext) -> EvaluateOutput:
    """Return the verdict on a version, compared with ``current`` and former versions on the held-out labels.

    A version that is broken gets a verdict, not an error.
    """
    task, spec = context.task, context.task.spec_at(args.spec_rev)
    try:
        candidate = _load(context, args.version)
    except IntegrityError as error:
        return EvaluateOutput(verdict=judge(None, None, {}, spec.gates, integrity_error=str(error)))
    judged = holdout_set(task, args.label_seq, args.pool_seq, spec, args.spec_rev)
    predictions = _predict(context, candidate, args.pool_seq, judged.record_ids)
    answers, truth = predictions.predicted, judged.labels
    others, same, warnings = _answers_of_others(context, args, judged)
    correct = {name: _correct(a, truth) for name, a in others.items()}
    current = others.get(args.current) if args.current else None
    both = _comparable(context, args, truth)
    if not both.all():
        warnings += (f"compared with {args.current} on the {both.sum()} hold-out texts whose labels both know",)
    verdict = judge(
        _correct(answers, truth)[both],
        correct[args.current][both] if args.current in correct and both.any() else None,
        {name: rows[both] for name, rows in correct.items() if name != args.current},
        spec.gates,
        integrity_error=None,
        multi_label=spec.multi_label,
    )
    stop = _stop_signals(context, args, spec, candidate)
    verdict = verdict.evolve(warnings=(*verdict.warnings, *warnings, *stop.warnings))
    return EvaluateOutput(
        verdict=verdict,
        holdout=_report(judged, predictions, spec),
        rivals={name: float(np.mean(rows)) for name, rows in correct.items() if len(truth)},
        changed=_changed(judged, current, answers),
        agreement=stop.agreement,
        signals=stop.signals,
        against=_against(args.current, truth, predictions, same) if args.current and same else None,
        reference=_reference(context, args, candidate, judged, predictions),
    )


def _report(judged: HoldoutSet, predictions: StopPredictions, spec: TaskSpec) -> dict[str, Any]:
    """Return the metrics on the held-out labels, or nothing where there are none."""
    if not judged.labels:
        return {}
    answers, probabilities = predictions.predicted, predictions.probabilities
    return holdout_report(
        judged.labels,
        answers,
        spec.label_names,
        spec.multi_label,
        judged.discarded,
        probabilities,
        imported=[record_id in judged.imported for record_id in judged.record_ids],
    )


def _reference(
    context: RunContext, args: EvaluateArgs, model: Model, judged: HoldoutSet, predictions: StopPredictions
) -> LiveReference | None:
    """Return what live texts of the version will be compared with; None without held-out labels."""
    if not judged.labels:
        return None
    rows = context.task.pool.read(args.pool_seq).rows_of(judged.record_ids)
    texts, predicted = context.pool_texts(args.pool_seq, rows), predictions.predicted
    stated = confidence_of(predictions.probabilities, model.labels, model.multi_label, model.thresholds)
    reading = model.read(texts)
    counts = count(model.labels, predicted, stated, texts, reading.truncated, reading)
    return reference(
        counts, stated, _correct(predicted, judged.labels), predicted, judged.labels, model.multi_label
    ).part


def _others(args: EvaluateArgs) -> list[str]:
    names = ([args.current] if args.current else []) + list(args.rivals)
    return [name for name in dict.fromkeys(names) if name != args.version]


def _load(context: RunContext, version: str) -> Model:
    return context.job.loader.model(context.registry.manifest(version))


def _answers_of_others(
    context: RunContext, args: EvaluateArgs, judged: HoldoutSet
) -> tuple[dict[str, Labels], StopPredictions | None, tuple[str, ...]]:
    """Return what the other versions predict, by version, all that ``current`` predicts if it has the labels of now,
    and a warning for each version that cannot be read any more.

    Such a version is left out, so that a new one can replace it. What ``current`` predicts with labels of an earlier
    label set has the names of now, without those that were removed; a former version of that kind is not compared.
    """
    answers, unreadable, same = dict[str, Labels](), list[str](), None
    sets = context.task.label_sets(context.task.label_set_rev(args.spec_rev))
    for name in _others(args):
        try:
            since = context.registry.manifest(name).label_set_rev
            if since != sets[-1].rev and name != args.current:
                continue
            said = _predict(context, _load(context, name), args.pool_seq, judged.record_ids)
            answers[name] = [translate_labels(one, sets, since) for one in said.predicted]
            if name == args.current and since == sets[-1].rev:
                same = said
        except IntegrityError as error:
            unreadable.append(f"not compared with {name}: {error}")
    return answers, same, tuple(unreadable)


def _against(current: str, truth: Labels, candidate: StopPredictions, other: StopPredictions) -> AgainstCurrent:
    both = None if candidate.multi_label else (candidate.probabilities, other.probabilities)
    return against_current(current, truth, candidate.predicted, other.predicted, both)


def _comparable(context: RunContext, args: EvaluateArgs, truth: Labels) -> NDArray[np.bool_]:
    """Return the held-out rows whose labels ``current`` knows too, under a name of then: all of them within a label
    set."""
    everything = np.ones(len(truth), dtype=bool)
    sets = context.task.label_sets(context.task.label_set_rev(args.spec_rev))
    if args.current is None:
        return everything
    try:
        manifest = context.registry.manifest(args.current)
    except IntegrityError:
        return everything
    if manifest.label_set_rev == sets[-1].rev:
        return everything
    known = set(translate_labels(manifest.labels, sets, manifest.label_set_rev))
    return np.array([known.issuperset(labels) for labels in truth], dtype=bool)


def _predict(context: RunContext, model: Model, pool_seq: int, record_ids: Sequence[str]) -> StopPredictions:
    rows = context.task.pool.read(pool_seq).rows_of(record_ids)
    probabilities = context.pool_probabilities(model, pool_seq, rows)
    predicted = decide_labels(probabilities, model.labels, model.multi_label, model.thresholds)
    return StopPredictions(model.labels, model.multi_label, probabilities, predicted)


def _correct(answers: Labels, truth: Labels) -> NDArray[np.bool_]:
    return np.array([set(a) == set(t) for a, t in zip(answers, truth, strict=True)], dtype=bool)


def _changed(judged: HoldoutSet, current: Labels | None, answers: Labels) -> tuple[dict[str, object], ...]:
    if current is None:
        return ()
    return tuple(
        {"record_id": record_id, "label": list(label), "current": list(old), "candidate": list(new)}
        for record_id, label, old, new in zip(judged.record_ids, judged.labels, current, answers, strict=True)
        if old != new
    )


@dataclass(frozen=True, slots=True)
class _StopSignals:
    """``agreement``: Cohen's kappa, always measured. ``signals``: those of all other built-in criteria and of the
    spec's."""

    agreement: float | None = None
    signals: dict[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def _stop_signals(context: RunContext, args: EvaluateArgs, spec: TaskSpec, candidate: Model) -> _StopSignals:
    if args.agree_with is None:
        return _StopSignals()
    try:
        before_model = _load(context, args.agree_with)
    except IntegrityError:  # there is nothing to compare with; the verdict warns of it where that version has served
        return _StopSignals()
    gone = context.task.labels.read().deleted
    ids = [one for one in stop_set(context.task, args.pool_seq, context).record_ids if one not in gone]
    if not ids:
        return _StopSignals()
    before, after = (_predict(context, model, args.pool_seq, ids) for model in (before_model, candidate))
    asked = [one.criterion for one in single_criteria(spec.loop.stop)]
    signals, warnings = dict[str, float](), list[str]()
    for name in dict.fromkeys([*BUILT_IN, *asked]):  # all built-in ones, so that a spec may change to another at once
        try:
            value = CRITERIA.get(name).signal(before, after)
            if name == KAPPA:
                raise InvalidInput(f"the name {KAPPA!r} is reserved: rename the criterion")
            if value is not None and not math.isfinite(value):
                raise InvalidInput(f"it measured {value}, and a signal must be a finite number")
            signals |= {} if value is None else {name: float(value)}
        except Exception as error:  # a package's criterion may raise anything, and must not decide what is deployed
            log.warning("the stopping criterion %s cannot measure", name, exc_info=True)
            warnings.append(f"the stopping criterion {name!r} has no signal: {describe(error)}")
    return _StopSignals(signals.pop(AGREEMENT), signals, tuple(warnings))


def stop_set(task: Task, pool_seq: int, context: RunContext) -> StopSet:
    """Return the task's fixed stop set. The first call draws it from the pool as it is then."""
    stored = documents.find(context.job.store, task.keys.stop_set, StopSet)
    if stored is not None:
        return stored[0]
    ids = task.pool.read(pool_seq).record_ids
    seed = derive_seed(task.spec.full_name, "stop-set", task.spec.loop.seed)
    size = min(task.spec.loop.stop.stop_set_size, len(ids))
    rows = np.sort(np.random.default_rng(seed).choice(len(ids), size, replace=False))
    drawn = StopSet(record_ids=tuple(ids[row] for row in rows), pool_seq=pool_seq, seed=seed)
    return documents.create_or_get(context.job.store, task.keys.stop_set, drawn)
