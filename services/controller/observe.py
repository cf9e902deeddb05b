"""One look at the world for the loop: everything that its decisions depend on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from jobs.running.port import JobRunner, RunPhase, RunStatus
from services.controller.fleet import Fleet
from services.controller.sync import Polled
from tornio.loop.observation import BatchProgress, Observation, RunOutcome
from tornio.loop.plans import auto_label, waited_for
from tornio.registry import CANDIDATE, CURRENT, Registry
from tornio.schemas.automatic import AutoLabelRecord
from tornio.schemas.keys import RunKeys
from tornio.schemas.loop import LoopState
from tornio.schemas.runs import RunFailure, RunPlan, RunResult
from tornio.schemas.task import Batch, Iteration
from tornio.schemas.trial import TrialCounts, TrialRecord
from tornio.storage import documents
from tornio.storage.port import ObjectStore
from tornio.tasks import Counter, Counts, Task
from tornio.training.methods import cannot_train


@dataclass
class _Stillness:
    """How long a growing sequence number has stood still, and been above 0, since an observer first looked."""

    _moved: tuple[int, datetime] | None = None
    _began: datetime | None = None

    def quiet(self, seq: int, now: datetime) -> timedelta:
        if self._moved is None or self._moved[0] != seq:
            self._moved = (seq, now)
        if seq and self._began is None:
            self._began = now
        return now - self._moved[1]

    def age(self, now: datetime) -> timedelta:
        return timedelta(0) if self._began is None else now - self._began


@dataclass
class Observer:
    """Looks at store, runner and replicas."""

    store: ObjectStore
    task: Task
    runner: JobRunner
    fleet: Fleet
    clock: Callable[[], datetime]
    _counter: Counter = field(init=False)
    _log: _Stillness = field(init=False)
    _pool: _Stillness = field(init=False)

    def __post_init__(self) -> None:
        self._counter = Counter(self.task)
        self._log, self._pool = _Stillness(), _Stillness()

    def observe(self, state: LoopState, polled: Polled) -> Observation:
        task, registry = self.task, Registry(self.store, self.task.keys)
        log, now = task.labels.read(), self.clock()
        batches = task.batches()
        counts = self._counter.count(log, batches)
        return Observation(
            now=now,
            spec=task.spec,
            spec_rev=task.document.spec_rev,
            pool_seq=counts.view.seq,
            label_seq=log.seq,
            queryable=counts.queryable,
            train_labels=counts.training_labels,
            imported_labels=counts.imported_labels,
            answered=counts.answered,
            batches=self._progress(state, counts, polled),
            generation=task.document.generation,
            written={b.batch: b for b in batches if state.query and b.batch == state.query.batch},
            runs={plan.run: self._outcome(plan) for plan in waited_for(state, task.spec)},
            current=registry.alias(CURRENT),
            candidate=registry.alias(CANDIDATE),
            replicas=self.fleet.replicas(task.spec.full_name),
            tried=self._tried(state),
            trial_record=self._trial_record(state),
            recorded=self._recorded(state),
            cannot_train=cannot_train(task.spec),
            quiet=self._log.quiet(counts.given_seq, now),
            pool_quiet=self._pool.quiet(counts.view.seq, now),
            pool_age=self._pool.age(now),
            given_seq=counts.given_seq,
            automatic=counts.given_by_version,
            misplaced=counts.misplaced,
            holdout=counts.random_holdout,
            pool=len(counts.view),
            labelled=self._labelled(state),
        )

    def _progress(self, state: LoopState, counts: Counts, polled: Polled) -> dict[str, BatchProgress]:
        opened = {batch.batch for batch in state.batches}
        wanted = opened | ({state.query.batch} if state.query else set())
        return {
            batch.batch: self._batch_progress(batch, counts, polled, batch.batch in opened)
            for batch in counts.batches
            if batch.batch in wanted
        }

    def _batch_progress(self, batch: Batch, counts: Counts, polled: Polled, opened: bool) -> BatchProgress:
        logged = opened or set(counts.live_records(batch)) <= polled.shown.get(batch.batch, frozenset())
        deleted = polled.deleted.get(batch.batch, frozenset()) if logged else frozenset[str]()
        progress = counts.progress(batch, deleted)
        return BatchProgress(progress.total, progress.answered, logged, lost=opened and batch.batch in polled.lost)

    def _tried(self, state: LoopState) -> TrialCounts:
        if state.swap is None or state.swap.trial is None:
            return TrialCounts()
        started = state.swap.trial.terms.started_at
        return self.fleet.tried(self.task.spec.full_name, state.swap.version, started)

    def _trial_record(self, state: LoopState) -> TrialRecord | None:
        if state.swap is None or state.swap.trial is None or state.swap.trial.verdict is None:
            return None
        found = documents.find(self.store, self.task.keys.trial(state.swap.version), TrialRecord)
        return found[0] if found else None

    def _outcome(self, plan: RunPlan) -> RunOutcome:
        keys = plan.run_keys
        found = documents.find(self.store, keys.result, RunResult)
        if found is not None:
            return RunOutcome(output=found[0].output, attempt=found[0].attempt)
        status = self.runner.status(plan)
        if status.phase is RunPhase.FAILED:
            return RunOutcome(error=self._why(keys, status), attempt=status.attempt)
        return RunOutcome(running=status.phase is RunPhase.RUNNING, attempt=status.attempt)

    def _why(self, keys: RunKeys, status: RunStatus) -> str:
        """What the attempt wrote down of its failure says more than what its runner saw of it."""
        noted = documents.find(self.store, keys.failure(status.attempt), RunFailure)
        return noted[0].error if noted is not None else status.error or "no reason given"

    def _labelled(self, state: LoopState) -> AutoLabelRecord | None:
        intent = state.auto.intent
        if intent is None:
            return None
        found = documents.find(
            self.store, self.task.keys.automatic(auto_label(self.task.spec, intent).run), AutoLabelRecord
        )
        return found[0] if found else None

    def _recorded(self, state: LoopState) -> dict[int, Iteration]:
        trains = (state.train, state.gate.train if state.gate else None)
        numbers = [train.iteration for train in trains if train]
        found = {n: documents.find(self.store, self.task.keys.iteration(n), Iteration) for n in numbers}
        return {n: document[0] for n, document in found.items() if document is not None}
