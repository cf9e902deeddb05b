"""Whether the loop should stop, and whether something hangs. Computed from state and observation, and never stored."""

from __future__ import annotations

from datetime import datetime, timedelta

from tornio.loop.observation import Observation
from tornio.loop.promotion import held
from tornio.schemas.loop import LoopState, SwapIntent
from tornio.spec import TaskSpec
from tornio.stopping import StopFacts, StopState, stop_state

RUN_HANGS = timedelta(minutes=30)
"""A run of the loop that takes longer needs attention. Small runs end in seconds; large runs report their progress."""
SILENCE = timedelta(minutes=1)
"""How long a version waits for replicas, none of which reports, before that needs attention."""


def stopped(state: LoopState, spec: TaskSpec, pool_seq: int, answered: int) -> str | None:
    """Return why no further batch is sent, or None. A new spec, new texts or train-now wake the task by themselves.

    Where a budget is used up, only a new spec wakes the task. ``answered``: texts that people have labelled here.
    """
    now = stop_now(state, spec, answered)
    return now.reason if now.spent or pool_seq <= state.trained_pool_seq else None


def stop_now(state: LoopState, spec: TaskSpec, answered: int) -> StopState:
    """Apply the current criterion to what is known."""
    return stop_state(spec.loop.stop, stop_facts(state, answered))


def stop_facts(state: LoopState, answered: int) -> StopFacts:
    """Return what stopping criteria may look at."""
    return StopFacts(state.stop.by_criterion, state.counted_iterations, answered, state.stop.holdout)


def replicas_agree(intent: SwapIntent, seen: Observation) -> bool:
    """Whether all replicas that hold the task are ready, or the deadline has passed and at least one is.

    When none holds it, they are not all ready: a replica wakes the task when `candidate` moves.
    """
    ready = [intent.version in replica.ready for replica in seen.holders]
    return bool(ready) and (all(ready) or (any(ready) and seen.now >= _deadline(intent, seen)))


def stuck(state: LoopState, seen: Observation) -> dict[str, str | None]:
    """Return what has taken too long, by cause; None for a cause that is fine."""
    return {
        "run": _hanging_run(state, seen),
        "waiting-swap": _hanging_swap(state, seen),
        "silent-annotators": _silent_annotators(state, seen),
    }


def _hanging_run(state: LoopState, seen: Observation) -> str | None:
    for name, intent in (
        ("training", state.train),
        ("judging", state.gate),
        ("picking a batch", state.query),
        ("labelling the pool", state.auto.intent),
    ):
        if intent and intent.since and seen.now > intent.since + RUN_HANGS:
            return f"hangs: {name} has been running since {_clock(intent.since)}; look at the job worker's log"
    return None


def _hanging_swap(state: LoopState, seen: Observation) -> str | None:
    swap = state.swap
    if swap is None or held(state) or replicas_agree(swap, seen):
        return None
    if not seen.replicas and seen.now > swap.since + SILENCE:
        return f"hangs: {swap.version} waits to be deployed, and no replica of the classifier reports"
    if seen.now < _deadline(swap, seen):
        return None
    failed = [f"{r.replica_id}: {r.failed[swap.version]}" for r in seen.holders if swap.version in r.failed]
    why = "; ".join(failed) or "all still load it"
    return f"hangs: {swap.version} waits to be deployed, and no replica is ready ({why})"


def _silent_annotators(state: LoopState, seen: Observation) -> str | None:
    hours = seen.spec.loop.close_after_hours
    for batch in state.batches:
        progress = seen.batches.get(batch.batch)
        if hours is None or batch.closed or progress is None or progress.answered:
            continue
        if seen.now >= batch.opened_at + timedelta(hours=hours):
            return f"hangs: nobody has answered in batch {batch.batch} since {_clock(batch.opened_at)}"
    return None


def _deadline(intent: SwapIntent, seen: Observation) -> datetime:
    return intent.since + timedelta(seconds=seen.spec.gates.replica_deadline_s)


def _clock(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M UTC")
