"""What the loop makes of what was seen: absorb outcomes, then state new intents. Pure.

The order matters: outcomes first, so that what ended makes room; training before query, so that the next batch
is picked by the newest version.
"""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TypeVar

from tornio.loop import plans
from tornio.loop.observation import BatchProgress, Observation, RunOutcome
from tornio.schemas.jobs import EvaluateOutput, QueryOutput, TrainOutput
from tornio.schemas.loop import Attempts, GateIntent, LoopState, OpenBatch, QueryIntent, SwapIntent, TrainIntent
from tornio.schemas.runs import RunPlan
from tornio.stopping import stop_reason

ATTEMPTS = 3
"""Tries of a training or a judgement before it is given up; a query is tried for ever, ever more slowly."""

Intent = TypeVar("Intent", bound=Attempts)


def advance(state: LoopState, seen: Observation) -> LoopState:
    """The state after this look at the world. Equal to ``state`` where nothing new was seen."""
    for step in (
        _absorb_query,
        _close_batches,
        _absorb_train,
        _absorb_gate,
        _absorb_swap,
        _wake,
        _start_training,
        _start_query,
    ):
        state = step(state, seen)
    return state


def _absorb_query(state: LoopState, seen: Observation) -> LoopState:
    if (intent := state.query) is None:
        return state
    progress = seen.batches.get(intent.batch)
    if intent.batch in seen.written and progress and progress.logged:
        opened = OpenBatch(batch=intent.batch, opened_at=seen.now)
        return state.evolve(query=None, batches=(*state.batches, opened))
    outcome = _outcome(seen, plans.query(state, seen.spec, intent), intent)
    if outcome.output is not None and not QueryOutput.model_validate(outcome.output).items:
        return state.evolve(query=None, batch_number=intent.number - 1, exhausted_pool_seq=intent.pool_seq)
    if outcome.error is not None:
        attention = f"picking the next batch failed {intent.attempt} times: {outcome.error}"
        state = state.evolve(query=_again(intent, seen))
        return state.evolve(attention=attention) if intent.attempt >= ATTEMPTS else state
    return state


def _close_batches(state: LoopState, seen: Observation) -> LoopState:
    batches = tuple(
        batch.evolve(closed=True) if not batch.closed and _is_over(batch, seen) else batch for batch in state.batches
    )
    return state.evolve(batches=batches) if batches != state.batches else state


def _is_over(batch: OpenBatch, seen: Observation) -> bool:
    loop = seen.spec.loop
    progress = seen.batches.get(batch.batch, BatchProgress(total=1, answered=0, logged=False))
    if progress.answered >= math.ceil(loop.close_fraction * progress.total - 1e-9):
        return True
    hours = loop.close_after_hours
    return hours is not None and seen.now >= batch.opened_at + timedelta(hours=hours)


def _absorb_train(state: LoopState, seen: Observation) -> LoopState:
    if (intent := state.train) is None:
        return state
    if intent.failure is not None:
        if intent.iteration not in seen.recorded:
            return state
        return state.evolve(train=None, attention=f"training {intent.iteration} failed: {intent.failure}")
    outcome = _outcome(seen, plans.train(state, seen.spec, intent), intent)
    if outcome.error is not None:
        return state.evolve(train=_again(intent, seen, give_up=outcome.error))
    if outcome.output is None:
        return state
    version = TrainOutput.model_validate(outcome.output).version
    return state.evolve(train=None, gate=_gate(state, seen, intent, version))


def _gate(state: LoopState, seen: Observation, train: TrainIntent, version: str) -> GateIntent:
    current = seen.current.version if seen.current else None
    rivals = tuple(v for v in state.promoted if v not in (current, version))
    return GateIntent(
        train=train, version=version, rivals=rivals, current=current, current_revision=seen.current_revision
    )


def _absorb_gate(state: LoopState, seen: Observation) -> LoopState:
    if (intent := state.gate) is None:
        return state
    recorded = intent.train.iteration in seen.recorded
    if intent.failure is not None:
        attention = f"judging {intent.version} failed: {intent.failure}"
        return state.evolve(gate=None, attention=attention) if recorded else state
    outcome = _outcome(seen, plans.evaluate(state, seen.spec, intent), intent)
    if outcome.error is not None:
        return state.evolve(gate=_again(intent, seen, give_up=outcome.error))
    if outcome.output is None:
        return state
    if not recorded:
        moved = seen.current_revision != intent.current_revision
        return state.evolve(gate=_gate(state, seen, intent.train, intent.version)) if moved else state
    return _judged(state.evolve(gate=None), seen, intent, EvaluateOutput.model_validate(outcome.output))


def _judged(state: LoopState, seen: Observation, gate: GateIntent, output: EvaluateOutput) -> LoopState:
    verdict = output.verdict
    if verdict.integrity:
        stop = state.stop.evolve(last_version=gate.version)
        if output.agreement is not None:
            stop = stop.evolve(signals=(*stop.signals, output.agreement))
        reason = stop_reason(seen.spec.loop.stop, stop.signals, gate.train.iteration)
        if reason:
            stop = stop.evolve(stopped=reason, label_seq=seen.label_seq, pool_seq=seen.pool_seq)
        state = state.evolve(newest=gate.version, stop=stop)
    if not verdict.promoted:
        return _refused(state, seen, gate.version, "; ".join(verdict.reasons))
    if state.asks.hold is not None or gate.version == gate.current:
        return state
    swap = SwapIntent(
        version=gate.version,
        iteration=gate.train.iteration,
        current_revision=gate.current_revision,
        why="; ".join(verdict.reasons),
        since=seen.now,
    )
    return state.evolve(swap=swap)


def _refused(state: LoopState, seen: Observation, version: str, why: str) -> LoopState:
    state = state.evolve(refusals=state.refusals + 1)
    if state.refusals < seen.spec.gates.attention_after:
        return state
    return state.evolve(attention=f"{state.refusals} versions in a row were refused; {version}: {why}")


def _absorb_swap(state: LoopState, seen: Observation) -> LoopState:
    if (intent := state.swap) is None:
        return state
    current = seen.current
    if current and current.version == intent.version and current.revision > intent.current_revision:
        promoted = (*(v for v in state.promoted if v != intent.version), intent.version)
        return state.evolve(swap=None, promoted=promoted, refusals=0, attention=None)
    if seen.current_revision != intent.current_revision:
        who = current.who if current else "somebody"
        return state.evolve(
            swap=None, attention=f"promotion of {intent.version} abandoned: {who} moved `current` meanwhile"
        )
    if state.asks.hold is not None:
        return state.evolve(swap=None)
    failed = [replica.failed.get(intent.version) for replica in seen.replicas]
    if failed and all(failed):
        state = state.evolve(swap=None, attention=f"no replica can load {intent.version}: {failed[0]}")
        return state.evolve(refusals=state.refusals + 1)
    return state


def _wake(state: LoopState, seen: Observation) -> LoopState:
    stop = state.stop
    if stop.stopped is None:
        return state
    asked = state.asks.train_now > state.served_train_now
    relabelled = seen.label_seq > stop.label_seq
    if not (relabelled or asked or seen.pool_seq > stop.pool_seq):
        return state
    return state.evolve(stop=stop.evolve(stopped=None), retrain=state.retrain or relabelled)


def _start_training(state: LoopState, seen: Observation) -> LoopState:
    if state.train or state.gate or state.asks.paused:
        return state
    closed = tuple(batch.batch for batch in state.batches if batch.closed)
    asked = state.asks.train_now > state.served_train_now
    first = state.newest is None and state.iteration == 0 and all(seen.train_labels.values())
    if not (closed or asked or first or state.retrain):
        return state
    state = state.evolve(
        batches=tuple(batch for batch in state.batches if not batch.closed),
        served_train_now=state.asks.train_now,
        retrain=False,
    )
    if seen.classes_with_labels < 2:
        return state.evolve(attention=_too_few(seen)) if asked else state
    intent = TrainIntent(
        iteration=state.iteration + 1,
        batches=closed,
        label_seq=seen.label_seq,
        pool_seq=seen.pool_seq,
        spec_rev=seen.spec_rev,
        parent=state.newest,
        started_at=seen.now,
    )
    return state.evolve(train=intent, iteration=intent.iteration)


def _too_few(seen: Observation) -> str:
    have = [name for name, count in seen.train_labels.items() if count] or ["none"]
    return f"training needs labels of at least two classes; so far: {', '.join(have)}. Label or import some more"


def _start_query(state: LoopState, seen: Observation) -> LoopState:
    busy = state.query or state.train or state.gate or any(batch.closed for batch in state.batches)
    if busy or state.asks.paused or state.stop.stopped is not None or not seen.queryable:
        return state
    if len(state.batches) >= seen.spec.loop.open_batches or seen.pool_seq <= state.exhausted_pool_seq:
        return state
    number = state.batch_number + 1
    intent = QueryIntent(
        number=number,
        batch=f"g{state.generation}-b{number:04d}",
        version=state.newest,
        label_seq=seen.label_seq,
        pool_seq=seen.pool_seq,
        spec_rev=seen.spec_rev,
    )
    return state.evolve(query=intent, batch_number=number)


def _outcome(seen: Observation, plan: RunPlan, intent: Attempts) -> RunOutcome:
    """The run's outcome as far as it concerns this attempt."""
    outcome = seen.runs.get(plan.run, RunOutcome())
    stale = outcome.error is not None and outcome.attempt != intent.attempt
    return RunOutcome() if stale else outcome


def _again(intent: Intent, seen: Observation, give_up: str | None = None) -> Intent:
    """The intent's next attempt, after a pause that doubles up to a minute; or given up, with the reason."""
    if give_up is not None and intent.attempt >= ATTEMPTS:
        return intent.evolve(failure=give_up)
    pause = timedelta(seconds=min(2.0**intent.attempt, 60.0))
    return intent.evolve(attempt=intent.attempt + 1, not_before=seen.now + pause)
