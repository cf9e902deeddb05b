"""Pick the next batch: records that the strategy chooses, with suggestions, and some held-out records."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np

from jobs.candidates import PoolSource, pick
from jobs.context import RunContext
from tornio.errors import IntegrityError, TornioError, describe
from tornio.labels.events import LabelEvent
from tornio.models.port import Model
from tornio.pool.view import PoolView
from tornio.query import (
    Picked,
    holdout_part,
    pick_batch,
    present_share,
    with_lapsed,
)
from tornio.records import Purpose
from tornio.schemas.jobs import QueryArgs, QueryOutput
from tornio.schemas.task import Batch, BatchItem, SuggestionPart
from tornio.seeds import derive_seed
from tornio.spec import NO_TEACHER, TaskSpec
from tornio.tasks import askable
from tornio.tasks.again import ask_again
from tornio.tasks.data import HoldoutSet, select_holdout
from tornio.tasks.proposals import proposals

__all__ = ["QueryArgs", "run"]

log = logging.getLogger(__name__)

AGAIN = 2
"""One in so many records of a batch is asked again at most."""


def run(args: QueryArgs, context: RunContext) -> QueryOutput:
    """Return the records of batch ``number``; none when every text was asked already.

    Records for one more annotator come first, and take half of the batch at most, so that new texts still come.
    A pure function of the arguments and of what they name, but for the suggestions of a teacher behind an endpoint.
    """
    task, spec = context.task, context.task.spec_at(args.spec_rev)
    view = task.pool.read(args.pool_seq)
    labels = task.label_view(args.label_seq, args.spec_rev)
    batches = [batch for batch in task.batches() if batch.number < args.number]
    left = askable(task, view, labels.events, batches, spec, labels.lapsed, args.generation)
    seed = derive_seed(spec.full_name, args.generation, args.number, "query", spec.loop.seed)
    model = _model(args, context)
    once_more = _once_more(args, spec, view, labels.events, batches, task.document.holdout_key)
    size = spec.loop.batch_size - len(once_more)
    holdout = select_holdout(view, labels.events, spec, task.document.holdout_key)
    part = _holdout_part(spec, args.generation, size, batches, holdout)
    wanted = size - part
    again = [row for row in left.open_rows if view.record_ids[row] in labels.lapsed]
    strategy, scores, order = _select(args, context, spec, left.open_rows, wanted, seed, model)
    order = with_lapsed(order, again, wanted, seed)
    held = [row for row in left.reserve_rows if view.record_ids[row] in labels.lapsed]
    picked = pick_batch(order, left.reserve_rows, size, part, seed, held)
    if not any(p.purpose is Purpose.QUERY for p in picked):
        return QueryOutput(items=(), strategy=strategy)
    rows = [p.row for p in picked if p.purpose is Purpose.QUERY]
    why_not, agent, suggestions = "", None, dict[int, SuggestionPart]()
    try:
        agent, suggestions = _suggest(args, context, spec, model, rows)
    except TornioError as error:
        if model is not None or not spec.teacher.endpoints:
            raise
        why_not = describe(error)  # annotators do not wait for another server, nor for its budget
        log.warning("Batch %s has no suggestions: %s", args.batch, why_not)
    return QueryOutput(
        items=(*once_more, *(_item(p, view.record_ids[p.row], scores, suggestions) for p in picked)),
        strategy=strategy,
        agent=agent,
        why_not=why_not,
    )


def _once_more(
    args: QueryArgs, spec: TaskSpec, view: PoolView, events: Sequence[LabelEvent], earlier: Sequence[Batch], key: str
) -> list[BatchItem]:
    """Return the records of this batch that one more annotator is asked about."""
    return ask_again(view, events, earlier, spec, key, args.generation)[: spec.loop.batch_size // AGAIN]


def _holdout_part(spec: TaskSpec, generation: int, size: int, earlier: Sequence[Batch], holdout: HoldoutSet) -> int:
    """Return how many of the ``size`` records that are asked for the first time are of the hold-out."""
    loop = spec.loop
    share = present_share(
        loop.holdout_share, len(holdout), loop.holdout_enough, len(holdout.imported), spec.gates.min_holdout
    )
    seed = derive_seed(spec.full_name, generation, "holdout", loop.seed)
    asked = sum(not item.again for batch in earlier for item in batch.items)
    return holdout_part(asked, size, share, seed)


def _model(args: QueryArgs, context: RunContext) -> Model | None:
    """Return the model whose predictions pick the batch. None in a cold start.

    None also where the version cannot be read any more: then the batch is picked as in a cold start, so that labels
    keep arriving for a version that can be read.
    """
    if args.version is None:
        return None
    try:
        return context.job.loader.model(context.registry.manifest(args.version))
    except IntegrityError:
        log.warning("%s cannot be read: batch %s is picked as in a cold start", args.version, args.batch, exc_info=True)
        return None


def _select(
    args: QueryArgs,
    context: RunContext,
    spec: TaskSpec,
    rows: Sequence[int],
    wanted: int,
    seed: int,
    model: Model | None,
) -> tuple[str, dict[int, float], list[int]]:
    """Return the strategy's name, the uncertainty to show by row, and ``wanted`` rows in the order of its choice.

    Raises MissingPlugin for a strategy that is not installed, and InvalidInput for one that returns rows that were not
    offered to it.
    """
    name = spec.loop.cold_start if model is None else spec.loop.strategy
    shown_name = f"cold-start-{name}" if model is None else name
    if not rows:
        return shown_name, {}, []
    source = PoolSource(context, spec, args.label_seq, args.pool_seq, args.spec_rev, model)
    selection = pick(source, np.asarray(rows, dtype=np.int64), wanted, seed)
    order = [rows[position] for position in selection.rows]
    shown = {} if selection.shown is None else dict(zip(order, map(float, selection.shown), strict=True))
    return shown_name, shown, order


def _suggest(
    args: QueryArgs, context: RunContext, spec: TaskSpec, model: Model | None, rows: Sequence[int]
) -> tuple[str | None, dict[int, SuggestionPart]]:
    """Return who suggests labels for these rows of the pool, and the suggestions."""
    if model is not None and args.version is not None:
        probabilities, agent = context.pool_probabilities(model, args.pool_seq, rows), args.version
        thresholds = model.thresholds
    elif spec.teacher.kind == NO_TEACHER:
        return None, {}
    else:
        teacher = context.job.loader.teacher(spec.teacher, spec.classifier)
        texts = context.pool_texts(args.pool_seq, rows)
        scored = teacher.score(texts, spec.labels, spec.teacher.templates, spec.multi_label)
        answered = np.flatnonzero(~np.isnan(scored.probabilities).any(axis=1))
        rows = [rows[int(number)] for number in answered]
        probabilities, agent, thresholds = scored.probabilities[answered], teacher.name, {}
    proposed = proposals(probabilities, spec.label_names, spec.multi_label, thresholds)
    return agent, dict(zip(rows, proposed, strict=True))


def _item(
    picked: Picked, record_id: str, scores: dict[int, float], suggestions: dict[int, SuggestionPart]
) -> BatchItem:
    if picked.purpose is Purpose.HOLDOUT:  # without a suggestion, which would influence the label that judges
        return BatchItem(record_id=record_id, purpose=picked.purpose)
    return BatchItem(
        record_id=record_id,
        purpose=picked.purpose,
        suggestion=suggestions.get(picked.row),
        uncertainty=scores.get(picked.row),
    )
