"""Judge a version: integrity, the hold-out against what serves and has served, agreement on the stop set."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from jobs.context import RunContext
from tornio.arrays import FloatMatrix
from tornio.errors import IntegrityError
from tornio.evaluation import cohen_kappa, holdout_report, judge
from tornio.models.decide import decide_labels
from tornio.models.port import Model
from tornio.schemas.jobs import EvaluateArgs, EvaluateOutput
from tornio.schemas.task import StopSet
from tornio.seeds import derive_seed
from tornio.storage import documents
from tornio.tasks import HoldoutSet, Task, holdout_set

__all__ = ["EvaluateArgs", "run"]

Labels = Sequence[tuple[str, ...]]


def run(args: EvaluateArgs, context: RunContext) -> EvaluateOutput:
    """The verdict on a version. Reads the hold-out only; broken versions are a verdict, not an error."""
    task, spec = context.task, context.task.spec_at(args.spec_rev)
    try:
        candidate = _load(context, args.version)
    except IntegrityError as error:
        return EvaluateOutput(verdict=judge(None, None, None, spec.gates, integrity_error=str(error)))
    judged = holdout_set(task, args.label_seq, args.pool_seq, spec)
    probabilities = _probabilities(context, candidate, args.pool_seq, judged.record_ids)
    answers = decide_labels(probabilities, candidate.labels, candidate.multi_label)
    truth = judged.labels
    others, unreadable = _answers_of_others(context, args, judged)
    accuracies = {name: float(np.mean(_correct(a, truth))) for name, a in others.items() if len(truth)}
    current = others.get(args.current) if args.current else None
    best = max(accuracies.items(), key=lambda item: item[1], default=None)
    verdict = judge(
        _correct(answers, truth),
        None if current is None else _correct(current, truth),
        best,
        spec.gates,
        integrity_error=None,
    )
    verdict = verdict.evolve(warnings=(*verdict.warnings, *unreadable))
    return EvaluateOutput(
        verdict=verdict,
        holdout=holdout_report(truth, answers, spec.label_names, spec.multi_label, judged.discarded, probabilities)
        if truth
        else {},
        rivals=accuracies,
        changed=_changed(judged, current, answers),
        agreement=_agreement(context, args, candidate),
    )


def _others(args: EvaluateArgs) -> list[str]:
    names = ([args.current] if args.current else []) + list(args.rivals)
    return [name for name in dict.fromkeys(names) if name != args.version]


def _load(context: RunContext, version: str) -> Model:
    return context.job.loader.model(context.registry.manifest(version))


def _answers_of_others(
    context: RunContext, args: EvaluateArgs, judged: HoldoutSet
) -> tuple[dict[str, Labels], tuple[str, ...]]:
    """What the others answer. One that cannot be read any more judges nobody: a new version must be able to follow
    it; why is among the second, for the verdict's warnings."""
    answers, unreadable = dict[str, Labels](), list[str]()
    for name in _others(args):
        try:
            answers[name] = _predict(context, _load(context, name), args.pool_seq, judged.record_ids)
        except IntegrityError as error:
            unreadable.append(f"not compared with {name}: {error}")
    return answers, tuple(unreadable)


def _predict(context: RunContext, model: Model, pool_seq: int, record_ids: Sequence[str]) -> Labels:
    probabilities = _probabilities(context, model, pool_seq, record_ids)
    return decide_labels(probabilities, model.labels, model.multi_label)


def _probabilities(context: RunContext, model: Model, pool_seq: int, record_ids: Sequence[str]) -> FloatMatrix:
    rows = context.task.pool.read(pool_seq).rows_of(record_ids)
    return context.pool_probabilities(model, pool_seq, rows.tolist())


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


def _agreement(context: RunContext, args: EvaluateArgs, candidate: Model) -> float | None:
    if args.agree_with is None:
        return None
    try:
        before_model = _load(context, args.agree_with)
    except IntegrityError:  # nothing to agree with; the warnings of the verdict say why, where it has served
        return None
    ids = stop_set(context.task, args.pool_seq, context).record_ids
    before = _predict(context, before_model, args.pool_seq, ids)
    after = _predict(context, candidate, args.pool_seq, ids)
    return cohen_kappa(["\x1f".join(sorted(a)) for a in before], ["\x1f".join(sorted(a)) for a in after])


def stop_set(task: Task, pool_seq: int, context: RunContext) -> StopSet:
    """The task's fixed stop set, drawn from the pool as it stood when first asked for."""
    found = documents.find(context.job.store, task.keys.stop_set, StopSet)
    if found is not None:
        return found[0]
    ids = task.pool.read(pool_seq).record_ids
    seed = derive_seed(task.spec.full_name, "stop-set", task.spec.loop.seed)
    size = min(task.spec.loop.stop.stop_set_size, len(ids))
    rows = np.sort(np.random.default_rng(seed).choice(len(ids), size, replace=False))
    drawn = StopSet(record_ids=tuple(ids[row] for row in rows), pool_seq=pool_seq, seed=seed)
    return documents.create_or_get(context.job.store, task.keys.stop_set, drawn)
