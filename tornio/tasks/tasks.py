"""All tasks of a store: creates, changes and finds them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Lock
from types import MappingProxyType
from typing import Any

from tornio.changes import FieldChange, describe_changes
from tornio.errors import AlreadyExists, Changed, ChangeRefused, Conflict, InvalidSpec
from tornio.models.endpoints import endpoint_of
from tornio.schemas.keys import TaskKeys
from tornio.schemas.loop import LoopState
from tornio.schemas.task import SpecDocument, TaskDocument
from tornio.settings import LlmEndpoint
from tornio.spec import Spec, TaskSpec
from tornio.storage import documents
from tornio.storage.port import ObjectStore
from tornio.tasks.annotatable import MAX_LABELS, check_annotatable
from tornio.tasks.holdout import holdout_key
from tornio.tasks.names import check_names
from tornio.tasks.task import Task

_TAKEN = ("blobs", "encoders", "_llm")
"""Names that a workspace cannot have, because the store uses folders of these names for itself."""
_TRIES = 50
_ADVICE = {
    "refused": "cannot change in a task that exists: create a new task under another name",
    "new generation": "would start a new generation of the task, which this release cannot do: create a new task "
    "under another name and import the old labels into it",
}


@dataclass(frozen=True, slots=True)
class Applied:
    """The result of an apply. ``changes``: the differences to the spec before; empty for a new task."""

    created: bool
    spec_rev: int
    changes: tuple[FieldChange, ...] = ()


class Tasks:
    """The tasks of a store. Keeps the tasks that it opened. Thread-safe."""

    def __init__(
        self,
        store: ObjectStore,
        max_labels: int = MAX_LABELS,
        endpoints: Mapping[str, LlmEndpoint] = MappingProxyType({}),
    ) -> None:
        """``max_labels``: options that the annotation tool takes for one question. ``endpoints``: the servers that
        teachers may ask; only ``apply`` needs both."""
        self._store = store
        self._endpoints = endpoints
        self._max_labels = max_labels
        self._opened: dict[TaskKeys, Task] = {}
        self._lock = Lock()

    def open(self, workspace: str, task: str) -> Task:
        """Return the task as it is now. Raises NotFound."""
        keys = TaskKeys(workspace, task)
        with self._lock:
            opened = self._opened.get(keys)
            if opened is None:
                opened = self._opened[keys] = Task(self._store, keys)
                return opened
        opened.refresh()
        return opened

    def names(self) -> Iterator[tuple[str, str]]:
        """Yield workspace and name of every task. It costs one listing per task, and reads none of a task's content.

        It leaps to the end of the folder at hand ("~" comes behind all our names), never past the folder's name: S3
        lists ``a-2/`` before ``a/``, SeaweedFS behind it.
        """
        after: str | None = None
        while (info := next(iter(self._store.list("", start_after=after)), None)) is not None:
            first, *rest = info.key.split("/")
            if not rest:
                after = info.key
            elif first in _TAKEN:
                after = f"{first}/~"
            elif rest[0] != "tasks":
                after = f"{first}/{rest[0]}/~"
            else:
                keys = TaskKeys(first, rest[1])
                if self._store.head(keys.document):
                    yield keys.workspace, keys.task
                after = keys.root + "~"

    def apply(self, spec: TaskSpec, who: str) -> Applied:
        """Create the task, or change its spec. Applying the same spec again changes nothing.

        Raises ChangeRefused for a change that is not possible in a task that exists, InvalidSpec for an impossible
        workspace, InvalidInput for an endpoint that the deployment does not have, Conflict when other writers change
        the task again and again.
        """
        check_names(spec)
        for endpoint in spec.teacher.endpoints:
            endpoint_of(endpoint, self._endpoints)
        if spec.workspace in _TAKEN:
            raise InvalidSpec(
                f"The workspace cannot be called {spec.workspace!r}, because the store needs this name. Choose another."
            )
        keys = TaskKeys(spec.workspace, spec.name)
        for _ in range(_TRIES):
            try:
                stored = documents.find(self._store, keys.document, TaskDocument)
                return self._create(keys, spec, who) if stored is None else self._change(keys, *stored, spec, who)
            except (AlreadyExists, Changed):
                continue  # another writer was first: look again
        raise Conflict(f"{spec.full_name} was changed by others {_TRIES} times in a row. Try again.")

    def _create(self, keys: TaskKeys, spec: TaskSpec, who: str) -> Applied:
        """Create the task. It exists once task.json does, so that is written last. Raises AlreadyExists."""
        spec = _with_bootstrap(spec, "teacher" if "teacher" in spec.model_fields_set and spec.teachable else None)
        check_annotatable(spec, None, self._max_labels)
        rev = self._write_spec(keys, 1, spec.model_dump(mode="json"), who)
        documents.create_or_get(self._store, keys.loop, LoopState())
        document = TaskDocument(
            workspace=keys.workspace,
            task=keys.task,
            spec_rev=rev,
            generation=1,
            label_set_rev=1,
            holdout_key=holdout_key(spec.full_name, spec.loop.seed),
            created_at=datetime.now(UTC),
        )
        documents.create(self._store, keys.document, document)
        return Applied(created=True, spec_rev=rev)

    def _change(self, keys: TaskKeys, document: TaskDocument, etag: str, spec: TaskSpec, who: str) -> Applied:
        """Write a new revision of the spec if it differs. Raises Changed, ChangeRefused."""
        old, _ = documents.load(self._store, keys.spec(document.spec_rev), SpecDocument)
        spec = _with_bootstrap(spec, old.task_spec().loop.bootstrap if spec.teachable else None)
        changes = describe_changes(old.task_spec(), spec)
        if not changes:
            return Applied(created=False, spec_rev=document.spec_rev)
        _refuse(spec, changes)
        check_annotatable(spec, old.task_spec(), self._max_labels)
        wanted = _with_later_fields(old.spec, spec)
        rev = self._write_spec(keys, document.spec_rev + 1, wanted, who)
        documents.replace(self._store, keys.document, document.evolve(spec_rev=rev), etag)
        return Applied(created=False, spec_rev=rev, changes=changes)

    def _write_spec(self, keys: TaskKeys, rev: int, spec: dict[str, Any], who: str) -> int:
        """Write the spec under the first free number, or find it where an interrupted apply left it."""
        while True:
            wanted = SpecDocument(rev=rev, spec=spec, who=who, created_at=datetime.now(UTC))
            if documents.create_or_get(self._store, keys.spec(rev), wanted).spec == spec:
                return rev
            rev += 1


def _with_bootstrap(spec: TaskSpec, otherwise: str | None) -> TaskSpec:
    """Return the spec with this ``loop.bootstrap`` where it names none."""
    if spec.loop.bootstrap is not None or otherwise is None:
        return spec
    return spec.model_copy(update={"loop": spec.loop.model_copy(update={"bootstrap": otherwise})})


def _refuse(spec: TaskSpec, changes: Sequence[FieldChange]) -> None:
    refused = [change for change in changes if change.change in _ADVICE]
    if refused:
        lines = [f"{change.path}: {change.old!r} -> {change.new!r} {_ADVICE[change.change]}" for change in refused]
        raise ChangeRefused("\n".join([f"{spec.full_name} stays as it is:", *lines]))


def _with_later_fields(old: Mapping[str, Any], spec: Spec) -> dict[str, Any]:
    """Return the spec as JSON, with the fields that ``old`` has from a later release and this release does not know."""
    fields = type(spec).model_fields
    merged = spec.model_dump(mode="json") | {name: value for name, value in old.items() if name not in fields}
    for name, section in spec:
        before = old.get(name)
        if isinstance(section, Spec) and isinstance(before, Mapping):
            whole = _with_later_fields(before, section)
            if name in merged or whole.keys() - type(section).model_fields:
                merged[name] = whole
    return merged
