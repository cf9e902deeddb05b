"""The outside acts that are due for the state's intents. Each has a deterministic id, so doing it twice is harmless."""

from __future__ import annotations

from dataclasses import dataclass

from tornio.loop import plans
from tornio.loop.automatic import over
from tornio.loop.observation import Observation
from tornio.loop.promotion import held
from tornio.loop.standstill import replicas_agree
from tornio.loop.trial import may_serve, terms
from tornio.schemas.automatic import AutoLabelOutput
from tornio.schemas.jobs import EvaluateOutput, QueryOutput, TrainOutput
from tornio.schemas.loop import Attempts, LoopState, QueryIntent, SwapIntent, TrainIntent
from tornio.schemas.runs import RunPlan
from tornio.schemas.task import KAPPA, Iteration
from tornio.schemas.trial import TrialRecord, TrialTerms


@dataclass(frozen=True, slots=True)
class StartRun:
    """Write the plan, if absent, and make sure that a runner has it."""

    plan: RunPlan
    attempt: int


@dataclass(frozen=True, slots=True)
class WriteBatch:
    """Write the batch that the query run picked, if absent."""

    intent: QueryIntent
    run: str
    picked: QueryOutput


@dataclass(frozen=True, slots=True)
class MoveBatch:
    """Write the batch that takes over what an open batch of the generation before still asks, if absent."""

    intent: QueryIntent


@dataclass(frozen=True, slots=True)
class LogBatch:
    """Send a written batch to the annotation tool (an upsert)."""

    batch: str


@dataclass(frozen=True, slots=True)
class RecordIteration:
    """Write the record of an iteration, if absent."""

    iteration: Iteration


@dataclass(frozen=True, slots=True)
class MoveAlias:
    """Move an alias from the revision that was seen. Nothing happens if it has moved since."""

    alias: str
    version: str
    expected_revision: int
    why: str
    chosen_by: str = ""
    """The user who chose the version, if one did."""
    trial: TrialTerms | None = None
    """How replicas try the version, while it is the candidate."""


@dataclass(frozen=True, slots=True)
class RecordTrial:
    """Write how the trial of a version ended, if absent."""

    record: TrialRecord


@dataclass(frozen=True, slots=True)
class WriteAutomatic:
    """Write the automatic labels that a run decided on, withdraw those of the same version below its thresholds, and
    write the record of it."""

    run: str
    decided: AutoLabelOutput


@dataclass(frozen=True, slots=True)
class WithdrawAutomatic:
    """Withdraw the automatic labels of these versions, and those of all versions on records that are held out."""

    versions: tuple[str, ...]


Act = (
    StartRun
    | WriteBatch
    | MoveBatch
    | LogBatch
    | RecordIteration
    | MoveAlias
    | RecordTrial
    | WriteAutomatic
    | WithdrawAutomatic
)


def owed(state: LoopState, seen: Observation) -> tuple[Act, ...]:
    """Return the acts that the state's intents need and that, by this observation, are not done yet."""
    return (
        *_training(state, seen),
        *_gating(state, seen),
        *_trying(state, seen),
        *_swapping(state, seen),
        *_querying(state, seen),
        *_sending_again(state, seen),
        *_labelling(state, seen),
    )


def _due(intent: Attempts, seen: Observation) -> bool:
    return intent.not_before is None or seen.now >= intent.not_before


def _start(plan: RunPlan, attempt: int, seen: Observation) -> tuple[Act, ...]:
    outcome = seen.runs.get(plan.run)
    running = outcome is not None and outcome.running and outcome.attempt >= attempt
    return () if running else (StartRun(plan, attempt),)


def _run(plan: RunPlan, intent: Attempts, seen: Observation) -> tuple[Act, ...]:
    return _start(plan, intent.attempt, seen) if _due(intent, seen) else ()


def _training(state: LoopState, seen: Observation) -> tuple[Act, ...]:
    if (intent := state.train) is None:
        return ()
    plan = plans.train(state, seen.spec, intent)
    if intent.failure is None:
        return _run(plan, intent, seen)
    if not intent.iteration:  # what a teacher could not teach is no iteration: it is tried again with other texts
        return ()
    return (RecordIteration(_iteration(state, seen, intent, failure=intent.failure)),)


def _gating(state: LoopState, seen: Observation) -> tuple[Act, ...]:
    if (intent := state.gate) is None:
        return ()
    plan = plans.evaluate(state, seen.spec, intent)
    if intent.failure is not None:
        iteration = _iteration(state, seen, intent.train, version=intent.version, failure=intent.failure)
        return (RecordIteration(iteration),)
    outcome = seen.runs.get(plan.run)
    if outcome is None or outcome.output is None:
        return _run(plan, intent, seen)
    output = EvaluateOutput.model_validate(outcome.output)
    iteration = _iteration(
        state,
        seen,
        intent.train,
        version=intent.version,
        evaluate_run=plan.run,
        verdict=output.verdict,
        metrics=output.holdout,
        against=output.against,
        stop=({} if output.agreement is None else {KAPPA: output.agreement}) | output.signals,
    )
    return (RecordIteration(iteration),)


def _iteration(state: LoopState, seen: Observation, intent: TrainIntent, **fields: object) -> Iteration:
    run = plans.train(state, seen.spec, intent).run
    outcome = seen.runs.get(run)
    trained = TrainOutput.model_validate(outcome.output) if outcome and outcome.output else None
    return Iteration.model_validate(
        {
            "number": intent.iteration,
            "generation": state.generation,
            "batches": intent.batches,
            "label_seq": intent.label_seq,
            "pool_seq": intent.pool_seq,
            "spec_rev": intent.spec_rev,
            "labels": trained.labels if trained else {},
            "texts": trained.texts if trained else None,
            "taught_by": trained.taught_by if trained else None,
            "automatic": intent.automatic,
            "imported_by": intent.imported.who if intent.imported else None,
            "train_run": run,
            "started_at": intent.started_at,
            "finished_at": seen.now,
            **fields,
        }
    )


def _trying(state: LoopState, seen: Observation) -> tuple[Act, ...]:
    """Let the alias ``candidate`` carry the terms of the trial that runs, and no others; then write the record."""
    swap, candidate, wanted = state.swap, seen.candidate, terms(state)
    if candidate is not None:
        named = swap is not None and swap.version == candidate.version
        wanted = wanted if named else None
        if candidate.trial != wanted and (named or swap is None or state.asks.hold is not None):  # else it moves on
            why = "on trial" if wanted else "no longer on trial"
            return (MoveAlias("candidate", candidate.version, candidate.revision, why, trial=wanted),)
    if swap is None or swap.trial is None or swap.trial.verdict is None or seen.trial_record is not None:
        return ()
    return (RecordTrial(TrialRecord(version=swap.version, trial=swap.trial)),)


def _swapping(state: LoopState, seen: Observation) -> tuple[Act, ...]:
    if (intent := state.swap) is None or held(state):
        return ()
    candidate = seen.candidate
    if candidate is None or candidate.version != intent.version:
        revision = candidate.revision if candidate else 0
        return (MoveAlias("candidate", intent.version, revision, intent.why),)
    verdict = seen.runs.get(plans.evaluate(state, seen.spec, state.gate).run) if state.gate else None
    judged = verdict is not None and verdict.output is not None
    ready = replicas_agree(intent, seen) and candidate.trial is None and may_serve(intent, seen)
    if ready and not judged:  # a verdict that is about to be recorded compared with `current`
        return (MoveAlias("current", intent.version, intent.current_revision, _why(intent), intent.chosen_by),)
    return ()


def _why(intent: SwapIntent) -> str:
    verdict = intent.trial.verdict if intent.trial else None
    return "; ".join((intent.why, *(verdict.reasons if verdict else ())))


def _querying(state: LoopState, seen: Observation) -> tuple[Act, ...]:
    if (intent := state.query) is None:
        return ()
    if intent.batch in seen.written:
        progress = seen.batches.get(intent.batch)
        return () if progress and progress.logged else (LogBatch(intent.batch),)
    if intent.moved_from:
        return (MoveBatch(intent),)
    plan = plans.query(state, seen.spec, intent)
    outcome = seen.runs.get(plan.run)
    if outcome is None or outcome.output is None:
        return _start(plan, intent.attempt, seen)
    picked = QueryOutput.model_validate(outcome.output)
    return (WriteBatch(intent, plan.run, picked),) if picked.items else ()


def _sending_again(state: LoopState, seen: Observation) -> tuple[Act, ...]:
    """Send open batches again whose data set was deleted. Their answers so far are in the label log and stay there."""
    batches = {batch.batch: seen.batches.get(batch.batch) for batch in state.batches if not batch.closed}
    return tuple(LogBatch(name) for name, progress in batches.items() if progress and progress.lost)


def _labelling(state: LoopState, seen: Observation) -> tuple[Act, ...]:
    """Return the acts of automatic labels. Those that are over are withdrawn first."""
    gone = over(state, seen)
    withdrawing: tuple[Act, ...] = (WithdrawAutomatic(gone),) if gone or seen.misplaced else ()
    if (intent := state.auto.intent) is None:
        return withdrawing
    plan = plans.auto_label(seen.spec, intent)
    outcome = seen.runs.get(plan.run)
    if outcome is None or outcome.output is None:
        return (*withdrawing, *_run(plan, intent, seen))
    if seen.labelled is not None and seen.labelled.run == plan.run:
        return withdrawing
    return (*withdrawing, WriteAutomatic(plan.run, AutoLabelOutput.model_validate(outcome.output)))
