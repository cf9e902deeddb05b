"""A task's status, from what the store and the controller say of it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from tornio.api import (
    AgreementStatus,
    AsksStatus,
    BatchStatus,
    CurvePoint,
    HoldoutStatus,
    Metrics,
    ReplicaStatus,
    Serving,
    StopStatus,
    Swap,
    TaskStatus,
)
from tornio.loop.observation import BatchProgress, Observation
from tornio.loop.phase import Standing, standing
from tornio.loop.standstill import stopped
from tornio.schemas.loop import LoopState
from tornio.schemas.registry import Alias
from tornio.schemas.task import Iteration
from tornio.spec import StopSpec
from tornio.status.snapshot import Snapshot
from tornio.stopping import stop_threshold

SWAPS = 50
"""How many moves of ``current`` a status tells."""


def task_status(
    seen: Snapshot, controller: Mapping[str, Any] | str, now: datetime, annotate_url: str | None = None
) -> TaskStatus:
    """``controller``: its answer, or why it gave none; then the phase is what the store alone lets one say."""
    away = controller if isinstance(controller, str) else None
    told = {} if isinstance(controller, str) else controller
    observation = observed(seen, now)
    now_doing = standing(seen.state, observation) if away else Standing(told["phase"], told["why"])
    current = seen.current[0] if seen.current else None
    candidate = seen.candidate[0].version if seen.candidate else None
    agreed = seen.counts.agreement
    return TaskStatus(
        workspace=seen.workspace,
        task=seen.task,
        phase=now_doing.phase,
        why=now_doing.why,
        attention="; ".join(text.removeprefix("hangs: ") for text in seen.state.attention.values()) or None,
        controller_away=away,
        spec_rev=seen.spec_rev,
        generation=seen.generation,
        label_set_rev=seen.label_set_rev,
        labels=list(seen.spec.label_names),
        multi_label=seen.spec.multi_label,
        pool=seen.counts.pool,
        queryable=told.get("queryable"),
        training_labels=dict(seen.counts.training),
        holdout=HoldoutStatus(
            reserved=seen.counts.reserved,
            labelled=seen.counts.labelled,
            discarded=seen.counts.discarded,
            disputed=seen.counts.disputed,
        ),
        agreement=None if agreed is None else AgreementStatus(alpha=agreed.alpha, records=agreed.records),
        batches=list(_batches(seen, told)),
        serving=None if current is None else serving(current),
        candidate=candidate if seen.state.swap and candidate == seen.state.swap.version else None,
        metrics=_metrics(seen.iterations),
        curve=[_point(iteration) for iteration in seen.iterations],
        stop=_stop(seen.spec.loop.stop, seen.state, observation),
        swaps=list(_swaps(seen.current, seen.candidate))[:SWAPS],
        replicas=[_replica(replica, current) for replica in told.get("replicas", ())],
        asks=asks_status(seen.state),
        annotate_url=annotate_url,
    )


def observed(seen: Snapshot, now: datetime) -> Observation:
    """What the store alone lets one see of the world: nothing of replicas and runs."""
    return Observation(
        now=now,
        spec=seen.spec,
        spec_rev=seen.spec_rev,
        pool_seq=seen.pool_seq,
        label_seq=seen.label_seq,
        queryable=0,
        train_labels=seen.counts.training,
        batches={name: BatchProgress(one.total, one.answered, True) for name, one in seen.counts.batches.items()},
    )


def serving(alias: Alias) -> Serving:
    return Serving(
        version=alias.version,
        revision=alias.revision,
        previous=alias.previous,
        who=alias.who,
        why=alias.why,
        since=alias.moved_at,
    )


def asks_status(state: LoopState) -> AsksStatus:
    asks = state.asks
    return AsksStatus(paused=asks.paused, train_now=asks.train_now > state.served_train_now, hold=asks.hold)


def figures(values: Mapping[str, Any]) -> dict[str, Any]:
    """Size, accuracy, its interval and what would halve it, of a hold-out report; none where there were no labels."""
    interval = values.get("interval")
    return {
        "holdout": values.get("n"),
        "accuracy": values.get("accuracy"),
        "interval": None if interval is None else tuple(interval),
        "labels_to_halve": values.get("labels_to_halve_interval"),
    }


def _batches(seen: Snapshot, told: Mapping[str, Any]) -> Iterator[BatchStatus]:
    """The controller's count, which ``why`` speaks of too; where it says nothing, the store's."""
    counted = {one["batch"]: (one["total"], one["answered"]) for one in told.get("batches", ())}
    for batch in seen.state.batches:
        own = seen.counts.batches.get(batch.batch)
        total, answered = counted.get(batch.batch, (own.total, own.answered) if own else (None, None))
        yield BatchStatus(
            batch=batch.batch, total=total, answered=answered, opened_at=batch.opened_at, closed=batch.closed
        )


def _metrics(iterations: Sequence[Iteration]) -> Metrics | None:
    """Of the last version that was judged."""
    for iteration in reversed(iterations):
        if iteration.version and iteration.verdict:
            values = dict(iteration.metrics)
            return Metrics(version=iteration.version, iteration=iteration.number, values=values, **figures(values))
    return None


def _point(iteration: Iteration) -> CurvePoint:
    signals = [value for value in iteration.stop.values() if isinstance(value, float)]
    return CurvePoint(
        iteration=iteration.number,
        labels=sum(iteration.labels.values()),
        version=iteration.version,
        promoted=iteration.verdict.promoted if iteration.verdict else None,
        signal=signals[0] if signals else None,
        failure=iteration.failure,
        **figures(iteration.metrics),
    )


def _stop(spec: StopSpec, state: LoopState, observation: Observation) -> StopStatus:
    return StopStatus(
        criterion=spec.criterion,
        threshold=stop_threshold(spec),
        signals=list(state.stop.of(spec.criterion)),
        stopped=stopped(state, observation),
    )


def _swaps(current: Sequence[Alias], candidate: Sequence[Alias]) -> Iterator[Swap]:
    """Moves of ``current``, newest first. A promotion began when ``candidate`` moved to the version."""
    for move in current:
        loaded = [one for one in candidate if one.version == move.version and one.moved_at <= move.moved_at]
        began = loaded[0].moved_at if loaded and move.cause == "promotion" else None
        yield Swap(
            version=move.version,
            revision=move.revision,
            previous=move.previous,
            at=move.moved_at,
            seconds=(move.moved_at - began).total_seconds() if began else None,
            cause=move.cause,
            who=move.who,
            why=move.why,
        )


def _replica(told: Mapping[str, Any], current: Alias | None) -> ReplicaStatus:
    version, revision = told.get("serving") or (None, None)
    failed = dict(told.get("failed") or {})
    lags = None
    if current is not None and (version, revision) != (current.version, current.revision):
        why = failed.get(current.version, "is being loaded")
        lags = f"answers with {version or 'nothing'}; {current.version}: {why}"
    return ReplicaStatus(
        replica=told["replica"],
        version=version,
        revision=revision,
        ready=list(told.get("ready") or ()),
        failed=failed,
        age_s=told.get("age_s"),
        lags=lags,
    )
