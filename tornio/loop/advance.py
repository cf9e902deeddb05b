"""The next state of the loop: take in outcomes, then state new intents. Pure.

The order matters. Outcomes come first, because what has ended makes room; among them the swap comes before the gate, so
that the loop does not mistake its own promotion for somebody else's. Training comes before query, so that the newest
version picks the next batch.
"""

from __future__ import annotations

import math
from datetime import timedelta

from tornio.loop import plans
from tornio.loop.attempts import ATTEMPTS, again, outcome_of, pause
from tornio.loop.attention import attend, refused
from tornio.loop.automatic import absorb_automatic, learned, start_automatic, tainted
from tornio.loop.generations import RELABELLED, begin_generation, move_batches
from tornio.loop.imports import cause_of, start_import
from tornio.loop.intents import start_query, start_teaching, start_training
from tornio.loop.observation import BatchProgress, Observation
from tornio.loop.promotion import aim_again, held, start_promotion
from tornio.loop.standstill import stop_now, stuck
from tornio.loop.trial import follow_trial, goes_first, take_waiting, wants_trial
from tornio.schemas.jobs import QueryOutput, TrainOutput
from tornio.schemas.loop import (
    GateIntent,
    HoldoutLook,
    LoopState,
    OpenBatch,
    StopProgress,
    SwapIntent,
    TrainIntent,
)
from tornio.schemas.task import KAPPA, Iteration
from tornio.schemas.trial import AgainstCurrent

RIVALS = 10
"""How many former versions are remembered and compared with a candidate beside ``current``. A task that lives for years
must not load all of them at each gate."""


def advance(state: LoopState, seen: Observation) -> LoopState:
    """Return the state after this observation. It equals ``state`` if there is nothing new."""
    for step in (
        begin_generation,
        _absorb_query,
        _close_batches,
        _absorb_train,
        _absorb_swap,
        start_promotion,
        follow_trial,
        take_waiting,
        _absorb_gate,
        move_batches,
        absorb_automatic,
        start_import,
        start_training,
        start_teaching,
        start_query,
        start_automatic,
        _note_undecided_stop,
        _tell_what_hangs,
    ):
        state = step(state, seen)
    return state


# -- outcomes ------------------------------------------------------------------------------------------


def _absorb_query(state: LoopState, seen: Observation) -> LoopState:
    if (intent := state.query) is None:
        return state
    if intent.batch in seen.written:
        progress = seen.batches.get(intent.batch)
        if not (progress and progress.logged):
            return state
        opened = OpenBatch(batch=intent.batch, opened_at=seen.now)
        state = state.evolve(query=None, query_failures=0, batches=(*state.batches, opened))
        return attend(state, "query", None)
    if intent.moved_from:
        return state
    outcome = outcome_of(seen, plans.query(state, seen.spec, intent), intent.attempt)
    if outcome.output is not None and not QueryOutput.model_validate(outcome.output).items:
        state = state.evolve(query=None, batch_number=intent.number - 1, exhausted_pool_seq=intent.pool_seq)
        return attend(state.evolve(query_failures=0), "query", None)
    if outcome.error is None:
        return state
    # The query is stated again after a pause, with the version and the spec of then: either may be what was wrong.
    failures = state.query_failures + 1
    state = state.evolve(
        query=None,
        batch_number=intent.number - 1,
        query_failures=failures,
        query_not_before=seen.now + pause(failures),
    )
    message = f"picking the next batch failed {failures} times: {outcome.error}"
    return attend(state, "query", message) if failures >= ATTEMPTS else state


def _close_batches(state: LoopState, seen: Observation) -> LoopState:
    batches = tuple(
        batch.evolve(closed=True) if not batch.closed and _is_over(batch, seen) else batch for batch in state.batches
    )
    return state.evolve(batches=batches) if batches != state.batches else state


def _is_over(batch: OpenBatch, seen: Observation) -> bool:
    """Whether a batch is answered to its fraction, or is past its deadline with at least one answer."""
    loop = seen.spec.loop
    progress = seen.batches.get(batch.batch, BatchProgress(total=1, answered=0, logged=False))
    if progress.answered >= math.ceil(loop.close_fraction * progress.total - 1e-9):
        return True
    hours = loop.close_after_hours
    late = hours is not None and seen.now >= batch.opened_at + timedelta(hours=hours)
    return late and progress.answered > 0


def _absorb_train(state: LoopState, seen: Observation) -> LoopState:
    if (intent := state.train) is None:
        return state
    if intent.failure is not None:
        if not intent.iteration:
            return _not_taught(state, seen, intent, intent.failure)
        if intent.iteration not in seen.recorded:
            return state
        if intent.failure == RELABELLED:
            return state.evolve(train=None)
        return attend(state.evolve(train=None), cause_of(intent, "train"), _gone_wrong(intent, intent.failure))
    outcome = outcome_of(seen, plans.train(state, seen.spec, intent), intent.attempt)
    if outcome.error is not None:
        before = 0 if intent.iteration else state.teaching_attempts
        return state.evolve(train=again(intent, seen, outcome.error, before))
    if outcome.output is None:
        return state
    version = TrainOutput.model_validate(outcome.output).version
    state = learned(state.evolve(train=None, gate=_gate(state, seen, intent, version)), version, intent)
    return attend(state, cause_of(intent, "train"), None)


def _gone_wrong(intent: TrainIntent, failure: str) -> str:
    if intent.imported is not None:
        return f"the import of iteration {intent.iteration} failed: {failure}"
    return f"training {intent.iteration} failed: {failure}. `tornio train-now` tries again"


def _not_taught(state: LoopState, seen: Observation, intent: TrainIntent, failure: str) -> LoopState:
    tried = outcome_of(seen, plans.train(state, seen.spec, intent), intent.attempt).attempt
    message = (
        f"the teacher could not teach a first version: {failure}. The loop goes on without it; `tornio train-now` "
        "tries again"
    )
    return attend(state.evolve(train=None, teaching_attempts=max(intent.attempt, tried)), "train", message)


def _gate(state: LoopState, seen: Observation, train: TrainIntent, version: str) -> GateIntent:
    current = seen.current.version if seen.current else None
    on_trial = (state.swap.version,) if state.swap and goes_first(state) else ()  # it may be `current` soon
    return GateIntent(
        train=train,
        version=version,
        rivals=tuple(v for v in (*state.promoted, *on_trial) if v not in (current, version)),
        current=current,
        current_revision=seen.current_revision,
        since=seen.now,
    )


def _absorb_swap(state: LoopState, seen: Observation) -> LoopState:
    current = seen.current
    if current and current.version not in state.promoted:  # whoever moved it
        state = state.evolve(promoted=(*state.promoted, current.version)[-RIVALS:])
    if (intent := state.swap) is None:
        return state
    if current and current.revision > intent.current_revision and intent.version in (current.version, current.previous):
        state = state.evolve(swap=None, refusals=0)  # it was promoted, and may have been rolled back since
        if intent.chosen_by:  # what passed the gate meanwhile was not compared with it
            state = state.evolve(waiting=None)
        if state.waiting and current.version == intent.version:  # the gate has compared the two
            unknown = AgainstCurrent(version=current.version, texts=0, agreed=0)
            state = state.evolve(waiting=state.waiting.evolve(current_revision=current.revision, against=unknown))
        return attend(attend(state, "refusals", None), "swap", None)
    if tainted(state, intent.version) is not None:
        return attend(state.evolve(swap=None), "swap", None)
    if held(state):
        return state
    if seen.current_revision != intent.current_revision:
        if (aimed := aim_again(state, intent, seen)) is not None:
            return aimed
        who = current.who if current else "somebody"
        message = (
            f"{intent.version} passed the gate and was not promoted, because {who} moved `current` meanwhile. "
            "`tornio train-now` trains and judges again, and `tornio promote` lets a version serve"
        )
        return attend(state.evolve(swap=None), "swap", message)
    failed = [replica.failed.get(intent.version) for replica in seen.holders]
    if failed and all(failed):
        state = state.evolve(swap=None, refusals=state.refusals + (not intent.chosen_by))
        return attend(state, "swap", f"no replica can load {intent.version}: {failed[0]}")
    return state


def _absorb_gate(state: LoopState, seen: Observation) -> LoopState:
    """Take in a verdict as it was recorded: of two controllers that judged, one record is kept."""
    if (intent := state.gate) is None:
        return state
    recorded = seen.recorded.get(intent.train.iteration)
    if recorded is not None and intent.failure == RELABELLED:
        return state.evolve(gate=None)
    if recorded is not None:
        return _judged(state.evolve(gate=None), seen, intent, recorded)
    if intent.failure is not None:
        return state
    outcome = outcome_of(seen, plans.evaluate(state, seen.spec, intent), intent.attempt)
    if outcome.error is not None:
        return state.evolve(gate=again(intent, seen, outcome.error))
    if outcome.output is not None and seen.current_revision != intent.current_revision:
        return state.evolve(gate=_gate(state, seen, intent.train, intent.version))
    return state


def _judged(state: LoopState, seen: Observation, gate: GateIntent, recorded: Iteration) -> LoopState:
    verdict = recorded.verdict
    state = state.evolve(taught=state.taught or not recorded.number)
    if verdict is None or recorded.version is None:
        return attend(state, cause_of(gate.train, "gate"), f"judging {gate.version} failed: {recorded.failure}")
    state = attend(state, cause_of(gate.train, "gate"), None)
    imported = gate.train.imported is not None
    if verdict.integrity and (verdict.promoted or not imported):  # else what was trained here picks better batches
        state = state.evolve(newest=recorded.version, stop=_signal(state, gate, recorded))
    if not verdict.promoted and imported:
        return state
    if not verdict.promoted:
        return refused(state, seen, recorded.version, "; ".join(verdict.reasons))
    if not wants_trial(seen, recorded.against):
        state = attend(state, "refusals", None).evolve(refusals=0)
    if (seen.current and recorded.version == seen.current.version) or tainted(state, recorded.version) is not None:
        return state
    swap = SwapIntent(
        version=recorded.version,
        iteration=recorded.number,
        current_revision=gate.current_revision,
        why="; ".join(verdict.reasons),
        since=seen.now,
        against=recorded.against,
    )
    return state.evolve(waiting=swap) if goes_first(state) else state.evolve(swap=swap)


def _signal(state: LoopState, gate: GateIntent, recorded: Iteration) -> StopProgress:
    """What was measured at this judgement, added to what is remembered; without new labels it says nothing."""
    stop, seq = state.stop, gate.train.label_seq
    given = gate.train.given_seq or seq
    if not recorded.number or gate.train.imported:  # to agree with another model is not what the criterion measures
        return stop
    if recorded.verdict is not None and recorded.verdict.promoted and (look := _look(recorded)) is not None:
        stop = stop.evolve(holdout=look)
    news = given > stop.last_label_seq
    stop = stop.evolve(last_version=recorded.version, last_label_seq=seq)
    if not news:
        return stop
    measured = dict(recorded.stop)
    if (kappa := measured.pop(KAPPA, None)) is not None:
        stop = stop.evolve(signals=(*stop.signals, float(kappa)))
    numbers = {name: float(value) for name, value in measured.items() if isinstance(value, int | float)}
    others = {name: (*stop.of(name), value) for name, value in numbers.items()}
    return stop.evolve(others={**stop.others, **others}) if others else stop


def _look(recorded: Iteration) -> HoldoutLook | None:
    """What the hold-out said about this version; None without held-out labels."""
    labels, accuracy = recorded.metrics.get("n"), recorded.metrics.get("accuracy")
    if not isinstance(labels, int) or not isinstance(accuracy, int | float) or not labels:
        return None
    return HoldoutLook(iteration=recorded.number, right=round(accuracy * labels), labels=labels)


# -- what a person should look at -----------------------------------------------------------------------


def _note_undecided_stop(state: LoopState, seen: Observation) -> LoopState:
    """Ask for attention while the stopping criterion cannot decide. The loop goes on, and never stops by itself."""
    return attend(state, "stop", stop_now(state, seen.spec, seen.answered).trouble)


def _tell_what_hangs(state: LoopState, seen: Observation) -> LoopState:
    for cause, text in stuck(state, seen).items():
        if text is not None or state.attention.get(cause, "").startswith("hangs"):
            state = attend(state, cause, text)
    return state
