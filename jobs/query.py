"""Pick the next batch: the strategy's records, some of the reserve, and suggestions for the first."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np

from jobs.context import RunContext
from tornio.arrays import FloatMatrix
from tornio.errors import IntegrityError
from tornio.models.decide import decide_labels
from tornio.models.port import Model
from tornio.query import Picked, cold_start, pick_batch, uncertainty
from tornio.records import Purpose
from tornio.schemas.jobs import QueryArgs, QueryOutput
from tornio.schemas.task import BatchItem, SuggestionPart
from tornio.seeds import derive_seed
from tornio.spec import TaskSpec
from tornio.tasks import askable

__all__ = ["QueryArgs", "run"]

log = logging.getLogger(__name__)


def run(args: QueryArgs, context: RunContext) -> QueryOutput:
    """The records of batch ``number``; none when nothing is left to ask. Pure in what the arguments name."""
    task, spec = context.task, context.task.spec_at(args.spec_rev)
    view = task.pool.read(args.pool_seq)
    events = task.labels.read(args.label_seq).events
    left = askable(task, view, events, (b for b in task.batches() if b.number < args.number), spec)
    seed = derive_seed(spec.full_name, args.generation, args.number, "query", spec.loop.seed)
    model = _model(args, context)
    strategy, scores, order = _ranked(args, context, spec, left.open_rows, seed, model)
    picked = pick_batch(order, left.reserve_rows, spec.loop.batch_size, spec.loop.holdout_share, seed)
    if not any(p.purpose is Purpose.QUERY for p in picked):
        return QueryOutput(items=(), strategy=strategy)
    agent, suggestions = _suggest(args, context, spec, model, [p.row for p in picked if p.purpose is Purpose.QUERY])
    return QueryOutput(
        items=tuple(_item(p, view.record_ids[p.row], scores, suggestions) for p in picked),
        strategy=strategy,
        agent=agent,
    )


def _model(args: QueryArgs, context: RunContext) -> Model | None:
    """Whose predictions pick: none in a cold start, or where the version cannot be read any more, so that labels go
    on coming for one that can."""
    if args.version is None:
        return None
    try:
        return context.job.loader.model(context.registry.manifest(args.version))
    except IntegrityError:
        log.warning("%s cannot pick batch %s: as in a cold start", args.version, args.batch, exc_info=True)
        return None


def _ranked(
    args: QueryArgs, context: RunContext, spec: TaskSpec, rows: Sequence[int], seed: int, model: Model | None
) -> tuple[str, dict[int, float], list[int]]:
    """Name of what ranked, uncertainty by row, and the rows in the order in which they are wanted."""
    if model is None:
        vectors = None
        if spec.loop.cold_start == "diverse":
            use = context.encoder_use(spec.classifier)
            vectors = context.pool_vectors(use, args.pool_seq).vectors[np.asarray(rows, dtype=np.int64)]
        order = cold_start(spec.loop.cold_start, len(rows), spec.loop.batch_size, seed, vectors)
        return f"cold-start-{spec.loop.cold_start}", {}, [rows[i] for i in order]
    probabilities = context.pool_probabilities(model, args.pool_seq, rows)
    values = uncertainty(spec.loop.strategy, probabilities, spec.multi_label, seed)
    shown = dict(zip(rows, values.shown.tolist(), strict=True))
    return spec.loop.strategy, shown, [rows[i] for i in values.order]


def _suggest(
    args: QueryArgs, context: RunContext, spec: TaskSpec, model: Model | None, rows: Sequence[int]
) -> tuple[str | None, dict[int, SuggestionPart]]:
    """Who suggests, and what, for these rows of the pool."""
    if model is not None and args.version is not None:
        probabilities, agent = context.pool_probabilities(model, args.pool_seq, rows), args.version
    elif spec.teacher.kind == "none":
        return None, {}
    else:
        teacher = context.job.loader.teacher(spec.teacher, spec.classifier)
        texts = context.task.pool.read(args.pool_seq).texts
        scored = teacher.score([texts[row] for row in rows], spec.labels, spec.teacher.templates, spec.multi_label)
        probabilities, agent = scored.probabilities, teacher.name
    return agent, dict(zip(rows, _proposals(probabilities, spec), strict=True))


def _proposals(probabilities: FloatMatrix, spec: TaskSpec) -> list[SuggestionPart]:
    names = spec.label_names
    chosen = decide_labels(probabilities, names, spec.multi_label)
    return [
        SuggestionPart(labels=labels, scores=tuple(round(float(row[names.index(name)]), 4) for name in labels))
        for labels, row in zip(chosen, probabilities, strict=True)
    ]


def _item(
    picked: Picked, record_id: str, scores: dict[int, float], suggestions: dict[int, SuggestionPart]
) -> BatchItem:
    if picked.purpose is Purpose.HOLDOUT:  # shown bare: a judged label must not be led
        return BatchItem(record_id=record_id, purpose=picked.purpose)
    return BatchItem(
        record_id=record_id,
        purpose=picked.purpose,
        suggestion=suggestions.get(picked.row),
        uncertainty=scores.get(picked.row),
    )
