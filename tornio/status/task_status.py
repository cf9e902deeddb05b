"""A task's status, from its snapshot of the store and the controller's report. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from datetime import datetime

from tornio.api import (
    BatchStatus,
    CriterionStatus,
    CurvePoint,
    DriftStatus,
    Metrics,
    ReplicaStatus,
    Serving,
    StopStatus,
    Swap,
    TaskName,
    TaskStatus,
    TaskSummary,
    TrialStatus,
)
from tornio.loop.first import waits_for
from tornio.loop.observation import BatchProgress, Observation
from tornio.loop.phase import EMPTY_POOL, standing, trial_progress
from tornio.loop.standstill import stop_facts, stopped
from tornio.loop.trial import terms
from tornio.schemas.loop import LoopState
from tornio.schemas.registry import Alias
from tornio.schemas.task import KAPPA, Iteration
from tornio.spec import StopSpec, TaskSpec
from tornio.status.asks import asks_status
from tornio.status.automatic import automatic_status
from tornio.status.reported import ControllerStatus, ReplicaReport
from tornio.status.scores import figures, named, training_counts
from tornio.status.snapshot import Snapshot
from tornio.stopping import levels, stop_threshold

SWAPS = 50
"""Most moves of ``current`` that a status lists."""


def task_status(
    snapshot: Snapshot,
    controller: ControllerStatus | str,
    now: datetime,
    annotate_url: str | None = None,
    drift: DriftStatus | None = None,
) -> TaskStatus:
    """Return the status of a task.

    ``controller``: its status, or the reason why it did not answer. Without its status, the phase is what the store
    alone shows.
    """
    observation = observed(snapshot, now)
    away = controller if isinstance(controller, str) else None
    reported = _from_store(snapshot, observation) if isinstance(controller, str) else _up_to_date(controller, snapshot)
    current = snapshot.current[0] if snapshot.current else None
    candidate = snapshot.candidate[0].version if snapshot.candidate else None
    swap = snapshot.state.swap
    return TaskStatus(
        workspace=snapshot.workspace,
        task=snapshot.task,
        phase=reported.phase,
        why=reported.why,
        attention="; ".join(text.removeprefix("hangs: ") for text in snapshot.state.attention.values()) or None,
        controller_away=away,
        spec_rev=snapshot.spec_rev,
        generation=snapshot.generation,
        label_set_rev=snapshot.label_set_rev,
        labels=list(snapshot.spec.label_names),
        multi_label=snapshot.spec.multi_label,
        pool=snapshot.pool,
        live_texts=snapshot.live_texts,
        queryable=reported.queryable,
        training_texts=snapshot.training_texts,
        training_labels=dict(snapshot.training_labels),
        automatic_labels=dict(snapshot.automatic_labels),
        automatic=automatic_status(snapshot),
        holdout=snapshot.holdout,
        agreement=snapshot.agreement,
        undecided=snapshot.undecided,
        again=list(snapshot.again),
        gone_accounts=list(reported.gone_accounts),
        batches=list(_batches(snapshot, reported)),
        serving=None if current is None else serving(current, snapshot.iterations, snapshot.generation),
        first_version=None if current else reported.first_version,
        trial=_trial(snapshot, reported),
        candidate=candidate if swap and candidate == swap.version else None,
        metrics=_metrics(snapshot.iterations, snapshot.spec.multi_label, current),
        curve=[_point(iteration, snapshot.spec) for iteration in snapshot.iterations if iteration.imported_by is None],
        drift=drift,
        stop=_stop(snapshot.spec.loop.stop, snapshot.state, observation),
        swaps=list(_swaps(snapshot.current, snapshot.candidate))[:SWAPS],
        replicas=[_replica(replica, current) for replica in reported.replicas],
        asks=asks_status(snapshot.state),
        annotate_url=annotate_url,
    )


def task_summary(task: TaskName, controller: ControllerStatus | str, current: Alias | None) -> TaskSummary:
    """Return a task's row in the list of tasks. ``controller``: its status, or why the task's state is unknown."""
    return TaskSummary(
        workspace=task.workspace,
        task=task.task,
        phase="unknown" if isinstance(controller, str) else controller.phase,
        why=controller if isinstance(controller, str) else controller.why,
        version=current.version if current else None,
        revision=current.revision if current else None,
    )


def observed(snapshot: Snapshot, now: datetime) -> Observation:
    """Return what the store alone shows of the world: without replicas and runs."""
    return Observation(
        now=now,
        spec=snapshot.spec,
        spec_rev=snapshot.spec_rev,
        pool_seq=snapshot.pool_seq,
        label_seq=snapshot.label_seq,
        queryable=0,
        train_labels=snapshot.training_labels,
        imported_labels=snapshot.imported_labels,
        answered=snapshot.answered,
        given_seq=snapshot.given_seq,
        current=snapshot.current[0] if snapshot.current else None,
        batches={
            name: BatchProgress(progress.total, progress.answered, True) for name, progress in snapshot.batches.items()
        },
    )


def _up_to_date(reported: ControllerStatus, snapshot: Snapshot) -> ControllerStatus:
    """Return what the controller reports, without what the first texts of the pool have overtaken."""
    if reported.why != EMPTY_POOL or not snapshot.pool_seq:
        return reported
    why = "the first texts have just been added, and are looked at within seconds"
    return replace(reported, why=why, first_version=why)


def _from_store(snapshot: Snapshot, observation: Observation) -> ControllerStatus:
    """Return what can be reported without the controller."""
    now = standing(snapshot.state, observation)
    return ControllerStatus(
        now.phase,
        now.why,
        first_version=waits_for(snapshot.state, observation),
        trial=trial_progress(snapshot.state, observation),
    )


def serving(alias: Alias, iterations: Sequence[Iteration] = (), generation: int = 1) -> Serving:
    """Return what the alias ``current`` serves. ``iterations``: those that may have trained it. ``generation``: the
    task's present one."""
    trained = next((one for one in iterations if one.version == alias.version), None)
    return Serving(
        version=alias.version,
        revision=alias.revision,
        previous=alias.previous,
        who=alias.who,
        why=alias.why,
        since=alias.moved_at,
        taught_by=trained.taught_by if trained else None,
        training_texts=trained.texts if trained else None,
        outdated_labels=alias.outdated_labels or (trained is not None and trained.generation < generation),
    )


def _trial(snapshot: Snapshot, reported: ControllerStatus) -> TrialStatus | None:
    """The trial that runs, else the last one that ended."""
    running = terms(snapshot.state)
    if running is not None and snapshot.state.swap is not None:
        return TrialStatus(
            version=snapshot.state.swap.version, since=running.started_at, why=reported.trial or "it has just begun"
        )
    if not snapshot.trials:
        return None
    ended = snapshot.trials[-1]
    verdict = ended.trial.verdict
    return TrialStatus(
        version=ended.version,
        since=ended.trial.terms.started_at,
        promoted=verdict.promoted if verdict else None,
        why="; ".join(verdict.reasons) if verdict else "",
    )


def _batches(snapshot: Snapshot, reported: ControllerStatus) -> Iterator[BatchStatus]:
    """The open batches. The controller's count, which ``why`` uses too, comes before that of the store."""
    for batch in snapshot.state.batches:
        progress = reported.batches.get(batch.batch) or snapshot.batches.get(batch.batch)
        yield BatchStatus(
            batch=batch.batch,
            total=progress.total if progress else None,
            answered=progress.answered if progress else None,
            opened_at=batch.opened_at,
            closed=batch.closed,
        )


def _metrics(iterations: Sequence[Iteration], multi_label: bool, current: Alias | None) -> Metrics | None:
    """The metrics of the version that serves; while none does, those of the last one that was judged."""
    for one in reversed(iterations):
        if one.version and one.verdict and (current is None or one.version == current.version):
            values = named(one.metrics, multi_label)
            return Metrics(
                version=one.version, iteration=one.number, values=values, **figures(one.metrics, multi_label)
            )
    return None


def _point(iteration: Iteration, spec: TaskSpec) -> CurvePoint:
    """A point of the curve. Without a signal of the task's criterion it shows the agreement."""
    signal = iteration.stop.get(spec.loop.stop.criterion, iteration.stop.get(KAPPA))
    trained = training_counts(iteration, spec.multi_label)
    return CurvePoint(
        iteration=iteration.number,
        training_texts=trained["training_texts"],
        labels=trained["training_labels"] or 0,
        version=iteration.version,
        promoted=iteration.verdict.promoted if iteration.verdict else None,
        signal=float(signal) if isinstance(signal, int | float) else None,
        failure=iteration.failure,
        **figures(iteration.metrics, spec.multi_label),
    )


def _stop(spec: StopSpec, state: LoopState, observation: Observation) -> StopStatus:
    return StopStatus(
        criterion=spec.criterion,
        threshold=stop_threshold(spec),
        signals=list(state.stop.of(spec.criterion)),
        criteria=[CriterionStatus(**asdict(level)) for level in levels(spec, stop_facts(state, observation.answered))],
        stopped=stopped(state, observation.spec, observation.pool_seq, observation.answered),
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


def _replica(report: ReplicaReport, current: Alias | None) -> ReplicaStatus:
    held = report.held
    version, revision = held.serving or (None, None)
    lags = None
    if current is not None and not held.asleep and (version, revision) != (current.version, current.revision):
        why = held.failed.get(current.version, "is being loaded")
        lags = f"answers with {version or 'nothing'}; {current.version}: {why}"
    return ReplicaStatus(
        replica=report.replica,
        version=version,
        revision=revision,
        ready=list(held.ready),
        failed=dict(held.failed),
        age_s=report.age_s,
        lags=lags,
        asleep=held.asleep,
    )
