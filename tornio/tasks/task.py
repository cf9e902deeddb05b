"""One task: its documents, its pool and its labels."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from threading import RLock
from typing import Literal, TypeVar

from tornio.errors import NotFound
from tornio.labels.events import EventKind, LabelEvent
from tornio.labels.label_sets import LabelSet, LabelView, former_names, translate
from tornio.labels.log import LabelLog, LogView
from tornio.pool import Added, Pool, PoolView
from tornio.records import Purpose, Record
from tornio.schemas.base import Document
from tornio.schemas.keys import TaskKeys
from tornio.schemas.loop import Asks, LoopState
from tornio.schemas.task import Batch, Iteration, LabelSetDocument, SpecDocument, TaskDocument
from tornio.schemas.trial import TrialRecord
from tornio.spec import TaskSpec
from tornio.storage import documents
from tornio.storage.port import ObjectStore
from tornio.tasks.imports import Imported, import_labels

D = TypeVar("D", bound=Document)
ImportPurpose = Literal["train", "holdout"]
_PURPOSES = {"train": Purpose.QUERY, "holdout": Purpose.HOLDOUT}


class Task:
    """A task of the store. Immutable documents are read once and kept. Thread-safe.

    ``document`` and ``spec`` are as of the last ``refresh``, which may come from another thread at any time: who needs
    both of one moment takes ``now``. Every method raises Unavailable if the store is away, and IntegrityError if a
    stored document is not valid.
    """

    def __init__(self, store: ObjectStore, keys: TaskKeys) -> None:
        """Raises NotFound for a task that does not exist."""
        self.store = store
        self.keys = keys
        self.labels = LabelLog(store, keys.label_log)
        self.pool = Pool(store, keys, self.labels.deleted)
        self._immutable: dict[str, Document] = {}
        self._lock = RLock()
        self._etag: str | None = None
        self._view: tuple[tuple[int, int, int, int], LabelView] | None = None
        self.refresh()

    @property
    def workspace(self) -> str:
        return self.keys.workspace

    @property
    def name(self) -> str:
        return self.keys.task

    @property
    def full_name(self) -> str:
        return f"{self.workspace}/{self.name}"

    @property
    def now(self) -> tuple[TaskDocument, TaskSpec]:
        """The document, with the spec that it names."""
        return self._now

    @property
    def document(self) -> TaskDocument:
        return self._now[0]

    @property
    def spec(self) -> TaskSpec:
        """The spec that ``document`` names."""
        return self._now[1]

    def refresh(self) -> None:
        """Read task.json again if it has changed. Raises NotFound if the task was deleted."""
        with self._lock:
            try:
                changed = self.store.get_if_changed(self.keys.document, self._etag)
            except NotFound:
                raise NotFound(
                    f"The task {self.full_name} does not exist. Create it with `tornio apply task.yaml`."
                ) from None
            if changed is None:
                return
            document = TaskDocument.decode(changed.body, self.keys.document)
            self._now, self._etag = (document, self.spec_at(document.spec_rev)), changed.etag

    def spec_at(self, rev: int) -> TaskSpec:
        """Return the spec of a revision. Raises NotFound."""
        return self._kept(self.keys.spec(rev), SpecDocument).task_spec()

    def view(self) -> PoolView:
        """Return the pool as it is now. Records that were deleted until now have no text in it."""
        self.labels.read()  # first the log, which says what was deleted
        return self.pool.read()

    def label_sets(self, rev: int | None = None) -> tuple[LabelSet, ...]:
        """Return the label sets up to ``rev`` (default: the present one), oldest first. Raises NotFound."""
        rev = self.document.label_set_rev if rev is None else rev
        sets = list[LabelSet]()
        while rev > 1:
            one = self._kept(self.keys.label_set(rev), LabelSetDocument)
            sets.append(LabelSet(rev, one.generation, {fate.label: fate.becomes for fate in one.fates}))
            rev = one.parent
        return (LabelSet(1), *reversed(sets))

    def label_set_of(self, generation: int) -> int:
        """Return the revision of the label set that annotators answer with in this generation."""
        return next(one.rev for one in reversed(self.label_sets()) if one.generation <= generation)

    def label_set_rev(self, spec_rev: int) -> int:
        """Return the revision of the label set of a spec. Raises NotFound."""
        return self._kept(self.keys.spec(spec_rev), SpecDocument).label_set_rev

    def label_set_with(self, labels: Collection[str]) -> int:
        """Return the newest label set that has exactly these labels; the present one if none has."""
        document, spec = self.now
        later = set(spec.label_names)
        for one in reversed(self.label_sets(document.label_set_rev)):
            if later == set(labels):
                return one.rev
            later = set(one.becomes)
        return document.label_set_rev

    def label_view(self, upto: int | None = None, spec_rev: int | None = None) -> LabelView:
        """Return the label log up to ``upto`` (default: all), with the labels of a spec's revision (default: the
        present one). Raises NotFound."""
        log = self.labels.read(upto)
        if spec_rev is None:
            return self.translated(log)
        return self.translated(log, self._kept(self.keys.spec(spec_rev), SpecDocument))

    def translated(self, log: LogView, at: SpecDocument | None = None) -> LabelView:
        """Return this view of the log with the labels of a spec (default: the present one)."""
        document, present = self.now
        rev, spec = (document.label_set_rev, present) if at is None else (at.label_set_rev, at.task_spec())
        key = (log.seq, len(log.deletions), rev, spec.annotation.min_submitted)
        with self._lock:
            if self._view is None or self._view[0] != key:
                self._view = (key, self._translate(log.seq, log.events, rev, spec))
            return self._view[1]

    def labels_as_they_were(self, seq: int, spec_rev: int) -> tuple[LabelEvent, ...]:
        """Return the events that the log had at ``seq``, without later tombstones, with the labels of a spec. Only to
        find out what a version was trained on. Raises NotFound."""
        at = self._kept(self.keys.spec(spec_rev), SpecDocument)
        return self._translate(seq, self.labels.read(seq).as_it_was, at.label_set_rev, at.task_spec()).events

    def _translate(self, seq: int, events: tuple[LabelEvent, ...], rev: int, spec: TaskSpec) -> LabelView:
        if rev == 1:
            return LabelView(seq, events)
        return translate(events, self.label_sets(rev), spec.multi_label, spec.annotation.min_submitted, seq)

    def add_records(self, records: Sequence[Record], *, duplicates: bool = True) -> Added:
        """Add texts to the pool. Records that were deleted are left out and counted. See ``Pool.append``."""
        gone = self.labels.read().deleted
        left = [record for record in records if record.record_id not in gone]
        return replace(self.pool.append(left, duplicates=duplicates), deleted=len(records) - len(left))

    def import_labels(
        self,
        items: Sequence[tuple[Record, Sequence[str]]],
        purpose: ImportPurpose,
        source: str,
        request: str | None = None,
        *,
        auto: bool = False,
    ) -> Imported:
        """Add labelled texts to pool and label log. ``auto``: a model gave the labels. See ``tasks.imports``."""
        document, spec = self.now
        rev, kind = document.label_set_rev, EventKind.AUTO if auto else EventKind.IMPORT
        former = former_names(self.label_sets(rev))
        return import_labels(
            self.pool, self.labels, spec, rev, items, _PURPOSES[purpose], source, request, kind, former
        )

    def batches(self) -> tuple[Batch, ...]:
        """Return every batch that was written down, by number."""
        return tuple(sorted(self._all(self.keys.batches, Batch), key=lambda batch: (batch.generation, batch.number)))

    def iterations(self) -> tuple[Iteration, ...]:
        """Return every iteration that has ended, by number, without iteration 0."""
        return tuple(self._all(self.keys.iterations, Iteration))

    def trials(self) -> tuple[TrialRecord, ...]:
        """Return how every trial on live traffic has ended, in the order of time."""
        ended = self._all(self.keys.trials, TrialRecord)
        return tuple(sorted(ended, key=lambda one: one.trial.terms.started_at))

    def bootstrapped(self) -> Iteration:
        """Return iteration 0: the version that the teacher taught. Raises NotFound."""
        return self._kept(self.keys.iteration(0), Iteration)

    def loop_state(self) -> LoopState:
        """Return loop.json as it is now."""
        return documents.load(self.store, self.keys.loop, LoopState)[0]

    def pause(self) -> Asks:
        """Ask the loop to start no further training and no further batch."""
        return self.update_asks(lambda asks: asks.evolve(paused=True))

    def resume(self) -> Asks:
        """Ask the loop to go on after a pause, and to promote again after a hold."""
        return self.update_asks(lambda asks: asks.evolve(paused=False, hold=None))

    def train_now(self, force: bool = False) -> Asks:
        """Ask the loop for a training with the present labels. ``force``: even if none of them is new."""

        def asked(asks: Asks) -> Asks:
            number = asks.train_now + 1
            return asks.evolve(train_now=number, forced=number if force else asks.forced)

        return self.update_asks(asked)

    def hold(self, why: str) -> Asks:
        """Ask the loop to promote nothing until ``resume``, also not what a user chose before. ``why``: the reason, for
        the status."""
        return self.update_asks(lambda asks: asks.evolve(hold=why, promote=None))

    def update_asks(self, change: Callable[[Asks], Asks]) -> Asks:
        """Change what users ask of the loop. What the controller writes to loop.json meanwhile is kept."""

        def changed(state: LoopState) -> LoopState:
            return state.evolve(asks=change(state.asks))

        return documents.update(self.store, self.keys.loop, LoopState, changed).asks

    def _all(self, prefix: str, cls: type[D]) -> list[D]:
        return [self._kept(info.key, cls) for info in self.store.list(prefix)]

    def _kept(self, key: str, cls: type[D]) -> D:
        """Return an immutable document. It is read once."""
        with self._lock:
            kept = self._immutable.get(key)
            if not isinstance(kept, cls):
                kept = self._immutable[key] = documents.load(self.store, key, cls)[0]
            return kept
