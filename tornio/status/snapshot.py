"""What the store says of a task, read in one go. Blocking; what is immutable or unchanged is not read again."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock

from tornio.labels.agreement import Agreement, agreement
from tornio.labels.resolve import by_record
from tornio.registry import CANDIDATE, CURRENT, Registry
from tornio.schemas.jobs import EvaluateOutput
from tornio.schemas.loop import LoopState
from tornio.schemas.registry import Alias, Manifest
from tornio.schemas.runs import RunResult
from tornio.schemas.task import Iteration
from tornio.spec import TaskSpec
from tornio.storage import documents
from tornio.storage.port import ObjectStore
from tornio.tasks import Progress, Task, batch_progress
from tornio.tasks.data import select_holdout, select_training


@dataclass(frozen=True, slots=True)
class Counts:
    """How much there is. ``batches``: how far each is; the controller also knows what was deleted in the annotation
    tool. ``agreement``: of several annotators, None while no record has two answers."""

    pool: int
    training: Mapping[str, int]
    reserved: int
    labelled: int
    discarded: int
    disputed: int
    batches: Mapping[str, Progress]
    agreement: Agreement | None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A task as it stands in the store. Histories are newest first, iterations oldest first."""

    workspace: str
    task: str
    spec: TaskSpec
    spec_rev: int
    generation: int
    label_set_rev: int
    pool_seq: int
    label_seq: int
    counts: Counts
    state: LoopState
    iterations: tuple[Iteration, ...]
    current: tuple[Alias, ...]
    candidate: tuple[Alias, ...]


@dataclass(frozen=True, slots=True)
class Trained:
    """The versions of a task, oldest first, and the judgement of each that was judged."""

    manifests: tuple[Manifest, ...]
    judgements: Mapping[str, EvaluateOutput]


class Reader:
    """Reads snapshots of one task. Thread-safe."""

    def __init__(self, store: ObjectStore, task: Task) -> None:
        self._store = store
        self._task = task
        self._registry = Registry(store, task.keys)
        self._counted: tuple[tuple[int, ...], Counts] | None = None
        self._judgements: dict[str, EvaluateOutput] = {}
        self._lock = Lock()

    def snapshot(self) -> Snapshot:
        """Raises what the store raises."""
        task, document, spec = self._task, self._task.document, self._task.spec
        return Snapshot(
            workspace=task.workspace,
            task=task.name,
            spec=spec,
            spec_rev=document.spec_rev,
            generation=document.generation,
            label_set_rev=document.label_set_rev,
            pool_seq=task.pool.last_seq(),
            label_seq=task.labels.last_seq(),
            counts=self._counts(spec, document.spec_rev),
            state=task.loop_state(),
            iterations=task.iterations(),
            current=self._registry.history(CURRENT),
            candidate=self._registry.history(CANDIDATE),
        )

    def trained(self, iterations: tuple[Iteration, ...]) -> Trained:
        """All versions, with the judgements that these iterations tell of."""
        runs = {one.version: one.evaluate_run for one in iterations if one.version and one.evaluate_run}
        with ThreadPoolExecutor(8) as pool:
            judged = zip(runs, pool.map(self._judgement, runs.values()), strict=True)
            return Trained(self._registry.versions(), {name: output for name, output in judged if output})

    def _judgement(self, run: str) -> EvaluateOutput | None:
        if run not in self._judgements:
            found = documents.find(self._store, self._task.keys.run(run).result, RunResult)
            if found is None:
                return None
            self._judgements[run] = EvaluateOutput.model_validate(found[0].output)
        return self._judgements[run]

    def _counts(self, spec: TaskSpec, spec_rev: int) -> Counts:
        """Counted anew when anything was added: resolving a long log takes a while."""
        task = self._task
        view, log, batches = task.pool.read(), task.labels.read(), task.batches()
        stand = (view.seq, log.seq, spec_rev, len(batches))
        with self._lock:
            if self._counted is not None and self._counted[0] == stand:
                return self._counted[1]
        key = task.document.holdout_key
        training = select_training(view, log.events, spec, key)
        holdout = select_holdout(view, log.events, spec, key)
        said, needed = by_record(log.events), spec.annotation.min_submitted
        counts = Counts(
            pool=len(view),
            training={name: sum(name in labels for labels in training.labels) for name in spec.label_names},
            reserved=holdout.reserved,
            labelled=len(holdout),
            discarded=holdout.discarded,
            disputed=holdout.disputed,
            batches={
                batch.batch: batch_progress((item.record_id for item in batch.items), said, needed) for batch in batches
            },
            agreement=agreement(log.events),
        )
        with self._lock:
            self._counted = (stand, counts)
        return counts
