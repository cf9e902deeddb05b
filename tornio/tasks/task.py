"""One task: its documents, its pool and its labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from threading import RLock
from typing import Literal, TypeVar

from tornio.errors import NotFound
from tornio.labels.events import EventKind
from tornio.labels.log import LabelLog
from tornio.pool import Added, Pool, PoolView
from tornio.records import Purpose, Record
from tornio.schemas.base import Document
from tornio.schemas.keys import TaskKeys
from tornio.schemas.loop import Asks, LoopState
from tornio.schemas.task import Batch, Iteration, SpecDocument, TaskDocument
from tornio.spec import TaskSpec
from tornio.storage import documents
from tornio.storage.port import ObjectStore
from tornio.tasks.imports import Imported, import_labels

D = TypeVar("D", bound=Document)
ImportPurpose = Literal["train", "holdout"]
_PURPOSES = {"train": Purpose.QUERY, "holdout": Purpose.HOLDOUT}


class Task:
    """A task of the store. Immutable documents are read once and kept. Thread-safe.

    ``document`` and ``spec`` are as of the last ``refresh``. Every method raises Unavailable if the store is away,
    and IntegrityError if a stored document is not valid.
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
    def document(self) -> TaskDocument:
        return self._document

    @property
    def spec(self) -> TaskSpec:
        """The spec that ``document`` names."""
        return self._spec

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
            self._spec = self.spec_at(document.spec_rev)
            self._document, self._etag = document, changed.etag

    def spec_at(self, rev: int) -> TaskSpec:
        """Return the spec of a revision. Raises NotFound."""
        return self._kept(self.keys.spec(rev), SpecDocument).task_spec()

    def view(self) -> PoolView:
        """Return the pool as it is now. Records that were deleted until now have no text in it."""
        self.labels.read()  # first the log, which says what was deleted
        return self.pool.read()

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
        rev, kind = self.document.label_set_rev, EventKind.AUTO if auto else EventKind.IMPORT
        return import_labels(self.pool, self.labels, self.spec, rev, items, _PURPOSES[purpose], source, request, kind)

    def batches(self) -> tuple[Batch, ...]:
        """Return every batch that was written down, by number."""
        return tuple(sorted(self._all(self.keys.batches, Batch), key=lambda batch: (batch.generation, batch.number)))

    def iterations(self) -> tuple[Iteration, ...]:
        """Return every iteration that has ended, by number, without iteration 0."""
        return tuple(self._all(self.keys.iterations, Iteration))

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
        """Ask the loop to promote nothing until ``resume``. ``why``: the reason, for the status."""
        return self.update_asks(lambda asks: asks.evolve(hold=why))

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
