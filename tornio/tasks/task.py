"""One task: its documents, its pool, its labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import RLock
from typing import Literal, TypeVar

from tornio.errors import NotFound
from tornio.labels.log import LabelLog
from tornio.pool import Added, Pool
from tornio.records import Purpose, Record
from tornio.schemas.base import Document
from tornio.schemas.loop import Asks, LoopState
from tornio.schemas.task import Batch, Iteration, SpecDocument, TaskDocument
from tornio.spec import TaskSpec
from tornio.storage import documents
from tornio.storage.keys import TaskKeys
from tornio.storage.port import ObjectStore
from tornio.tasks.imports import Imported, import_labels

D = TypeVar("D", bound=Document)
ImportPurpose = Literal["train", "holdout"]
_PURPOSES = {"train": Purpose.QUERY, "holdout": Purpose.HOLDOUT}


class Task:
    """A task of the store. What is immutable is read once and kept. Thread-safe.

    ``document`` and ``spec`` are as of the last ``refresh``. Every method raises Unavailable where the store is
    away, IntegrityError where it holds what it should not.
    """

    def __init__(self, store: ObjectStore, keys: TaskKeys) -> None:
        """Raises NotFound for a task that is not there."""
        self.store = store
        self.keys = keys
        self.pool = Pool(store, keys)
        self.labels = LabelLog(store, keys.label_log)
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
        """The spec that ``document`` points at."""
        return self._spec

    def refresh(self) -> None:
        """Read task.json again where it has moved. Raises NotFound when the task is gone."""
        with self._lock:
            try:
                moved = self.store.get_if_changed(self.keys.document, self._etag)
            except NotFound:
                raise NotFound(f"there is no task {self.full_name}: make it with `tornio apply task.yaml`") from None
            if moved is None:
                return
            document = TaskDocument.decode(moved.body, self.keys.document)
            self._spec = self.spec_at(document.spec_rev)
            self._document, self._etag = document, moved.etag

    def spec_at(self, rev: int) -> TaskSpec:
        """The spec of a revision. Raises NotFound."""
        return self._kept(self.keys.spec(rev), SpecDocument).task_spec()

    def add_records(self, records: Sequence[Record]) -> Added:
        """Put texts into the pool; see ``Pool.append``."""
        return self.pool.append(records)

    def import_labels(
        self,
        items: Sequence[tuple[Record, Sequence[str]]],
        purpose: ImportPurpose,
        source: str,
        request: str | None = None,
    ) -> Imported:
        """Put labelled texts into pool and log; see ``tasks.imports``."""
        rev = self.document.label_set_rev
        return import_labels(self.pool, self.labels, self.spec, rev, items, _PURPOSES[purpose], source, request)

    def batches(self) -> tuple[Batch, ...]:
        """Every batch that was written down, by number."""
        return tuple(sorted(self._all(self.keys.batches, Batch), key=lambda batch: (batch.generation, batch.number)))

    def iterations(self) -> tuple[Iteration, ...]:
        """Every iteration that has ended, by number."""
        return tuple(self._all(self.keys.iterations, Iteration))

    def loop_state(self) -> LoopState:
        """loop.json as it stands."""
        return documents.load(self.store, self.keys.loop, LoopState)[0]

    def pause(self) -> Asks:
        """Ask for no further training and no further batch."""
        return self.update_asks(lambda asks: asks.evolve(paused=True))

    def resume(self) -> Asks:
        """Go on after a pause, and promote again after a hold."""
        return self.update_asks(lambda asks: asks.evolve(paused=False, hold=None))

    def train_now(self) -> Asks:
        """Ask for a training with the labels that there are."""
        return self.update_asks(lambda asks: asks.evolve(train_now=asks.train_now + 1))

    def hold(self, why: str) -> Asks:
        """Promote nothing until ``resume``."""
        return self.update_asks(lambda asks: asks.evolve(hold=why))

    def update_asks(self, change: Callable[[Asks], Asks]) -> Asks:
        """Change what users ask of the loop, whatever the controller writes to loop.json meanwhile."""

        def changed(state: LoopState) -> LoopState:
            return state.evolve(asks=change(state.asks))

        return documents.update(self.store, self.keys.loop, LoopState, changed).asks

    def _all(self, prefix: str, cls: type[D]) -> list[D]:
        return [self._kept(info.key, cls) for info in self.store.list(prefix)]

    def _kept(self, key: str, cls: type[D]) -> D:
        """An immutable document, read once."""
        with self._lock:
            kept = self._immutable.get(key)
            if not isinstance(kept, cls):
                kept = self._immutable[key] = documents.load(self.store, key, cls)[0]
            return kept
