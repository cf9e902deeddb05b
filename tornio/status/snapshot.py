"""A task as the store describes it, read at one moment. Blocking; immutable and unchanged parts are not read again."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from tornio.api import AgainStatus, AgreementStatus, DriftStatus, HoldoutStatus, UndecidedStatus
from tornio.errors import TornioError
from tornio.labels.automatic import Given
from tornio.registry import CANDIDATE, CURRENT, Registry
from tornio.schemas.automatic import AutoLabelRecord
from tornio.schemas.jobs import EvaluateOutput
from tornio.schemas.loop import LoopState
from tornio.schemas.registry import Alias, Manifest
from tornio.schemas.runs import RunResult
from tornio.schemas.task import Iteration
from tornio.schemas.trial import TrialRecord
from tornio.spec import TaskSpec
from tornio.status.drift import DriftReader
from tornio.storage import documents
from tornio.storage.port import ObjectStore
from tornio.tasks import Counter, Counts, Progress, Task

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A task as the store describes it. Histories are newest first, iterations and trials oldest
    first.

    ``pool``: records. ``training_labels``: per class; ``imported_labels``: those of them that were imported,
    ``automatic_labels``: that a model gave. ``given_by_version``: automatic labels of versions, whether they train or
    not; ``labelled``: the record of the last of them that were written.
    ``batches``: progress per batch; only the controller knows which records were deleted in the annotation tool.
    ``agreement``: None means that no record has two answers.
    """

    workspace: str
    task: str
    spec: TaskSpec
    spec_rev: int
    generation: int
    label_set_rev: int
    pool_seq: int
    label_seq: int
    given_seq: int
    pool: int
    live_texts: int
    training_texts: int
    training_labels: Mapping[str, int]
    imported_labels: Mapping[str, int]
    answered: int
    automatic_labels: Mapping[str, int]
    given_by_version: Mapping[str, Given]
    labelled: AutoLabelRecord | None
    holdout: HoldoutStatus
    batches: Mapping[str, Progress]
    agreement: AgreementStatus | None
    undecided: UndecidedStatus
    again: tuple[AgainStatus, ...]
    state: LoopState
    iterations: tuple[Iteration, ...]
    trials: tuple[TrialRecord, ...]
    current: tuple[Alias, ...]
    candidate: tuple[Alias, ...]


@dataclass(frozen=True, slots=True)
class Trained:
    """The versions of a task, oldest first, and the judgement of each version that was judged."""

    manifests: tuple[Manifest, ...]
    judgements: Mapping[str, EvaluateOutput]


class Reader:
    """Reads snapshots of one task. Thread-safe."""

    def __init__(self, store: ObjectStore, task: Task) -> None:
        self.task = task
        self._store = store
        self._registry = Registry(store, task.keys)
        self._counter = Counter(task)
        self._judgements: dict[str, EvaluateOutput] = {}
        self._drift = DriftReader(store, task.keys)

    def drift(self, version: str, now: datetime) -> DriftStatus | None:
        """Return how live texts that a version answered differ from the hold-out. Raises nothing: it says why it cannot
        tell, because the rest of a status does not depend on it."""
        try:
            return self._drift.read(version, now)
        except (TornioError, ValueError) as error:  # ValueError: damaged numbers in a document
            log.warning("The drift of %s/%s cannot be read: %s", self.task.workspace, self.task.name, error)
            return DriftStatus(version=version, why=str(error))

    def snapshot(self) -> Snapshot:
        """Return the task as it is now. Raises the errors of the store."""
        task, document = self.task, self.task.document
        counts = self._counter.count(task.labels.read(), task.batches())
        agreed, state = counts.agreement, task.loop_state()
        return Snapshot(
            workspace=task.workspace,
            task=task.name,
            spec=counts.spec,
            spec_rev=document.spec_rev,
            generation=document.generation,
            label_set_rev=document.label_set_rev,
            pool_seq=counts.view.seq,
            label_seq=counts.log.seq,
            given_seq=counts.given_seq,
            pool=counts.records,
            live_texts=counts.live_texts,
            training_texts=counts.training_texts,
            training_labels=counts.training_labels,
            imported_labels=counts.imported_labels,
            answered=counts.answered,
            automatic_labels=counts.automatic_labels,
            given_by_version=counts.given_by_version,
            labelled=self._labelled(state.auto.run),
            holdout=_holdout(counts),
            batches={batch.batch: counts.progress(batch) for batch in counts.batches},
            agreement=None if agreed is None else AgreementStatus(alpha=agreed.alpha, records=agreed.records),
            again=tuple(AgainStatus(dataset=name, waiting=count) for name, count in counts.waiting_again.items()),
            undecided=UndecidedStatus(
                waiting=counts.undecided.waiting, disputed=counts.undecided.disputed, needed=counts.undecided.needed
            ),
            state=state,
            iterations=(*([task.bootstrapped()] if state.taught else []), *task.iterations()),
            trials=task.trials(),
            current=self._registry.history(CURRENT),
            candidate=self._registry.history(CANDIDATE),
        )

    def trained(self, iterations: tuple[Iteration, ...]) -> Trained:
        """Return all versions, with the judgements that these iterations name."""
        runs = {one.version: one.evaluate_run for one in iterations if one.version and one.evaluate_run}
        with ThreadPoolExecutor(8) as pool:
            judged = zip(runs, pool.map(self._judgement, runs.values()), strict=True)
            return Trained(self._registry.versions(), {name: output for name, output in judged if output})

    def _labelled(self, run: str | None) -> AutoLabelRecord | None:
        if run is None:
            return None
        found = documents.find(self._store, self.task.keys.automatic(run), AutoLabelRecord)
        return found[0] if found else None

    def _judgement(self, run: str) -> EvaluateOutput | None:
        if run not in self._judgements:
            result = documents.find(self._store, self.task.keys.run(run).result, RunResult)
            if result is None:
                return None
            self._judgements[run] = EvaluateOutput.model_validate(result[0].output)
        return self._judgements[run]


def _holdout(counts: Counts) -> HoldoutStatus:
    holdout = counts.holdout
    return HoldoutStatus(
        reserved=holdout.reserved,
        labelled=len(holdout),
        imported=len(holdout.imported),
        annotators=len(holdout) - len(holdout.imported),
        discarded=holdout.discarded,
        disputed=holdout.disputed,
    )
