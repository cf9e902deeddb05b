"""All tasks of a store: creates, changes and finds them."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
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
from tornio.schemas.task import LabelFate, LabelSetDocument, SpecDocument, TaskDocument
from tornio.settings import LlmEndpoint
from tornio.spec import Spec, TaskSpec
from tornio.storage import documents
from tornio.storage.port import ObjectStore
from tornio.tasks.annotatable import MAX_LABELS, check_annotatable
from tornio.tasks.holdout import holdout_key
from tornio.tasks.names import check_names
from tornio.tasks.relabelling import LabelChange, change_of, count_labels, fates
from tornio.tasks.task import Task

_TAKEN = ("blobs", "encoders", "_llm")
"""Names that a workspace cannot have, because the store uses folders of these names for itself."""
_TRIES = 50
_ADVICE = {
    "refused": "cannot change in a task that exists: create a new task under another name",
}


@dataclass(frozen=True, slots=True)
class Applied:
    """The result of an apply. ``changes``: the differences to the spec before; empty for a new task. ``fates``: what
    became of each label that changed."""

    created: bool
    spec_rev: int
    changes: tuple[FieldChange, ...] = ()
    fates: tuple[str, ...] = ()


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

    def names(self, known: Container[tuple[str, str]] = ()) -> Iterator[tuple[str, str]]:
        """Yield workspace and name of every task. It costs a listing for each workspace, and a look at each task.

        ``known``: tasks that are not looked at. They are yielded as long as anything of them is there.
        """
        for workspace in self.workspaces():
            for task in self.within(workspace, known):
                yield workspace, task

    def workspaces(self) -> Iterator[str]:
        """Yield every workspace, also one whose tasks are all gone. It costs a listing."""
        yield from (name for name in self._store.folders("") if name not in _TAKEN)

    def within(self, workspace: str, known: Container[tuple[str, str]] = ()) -> Iterator[str]:
        """Yield the name of every task of a workspace. ``known``: see ``names``."""
        for task in self._store.folders(f"{workspace}/tasks/"):
            if (workspace, task) in known or self._store.head(TaskKeys(workspace, task).document):
                yield task

    def apply(self, spec: TaskSpec, who: str, migrate: bool = False, expected_rev: int | None = None) -> Applied:
        """Create the task, or change its spec. Applying the same spec again changes nothing.

        ``migrate``: whether the labels may change. Without it, such a change is refused with what would become of the
        labels. ``expected_rev``: the spec's revision that the caller has seen; None means any.

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
                if stored is None:
                    return self._create(keys, spec.without_lineage(), who)
                if expected_rev not in (None, stored[0].spec_rev):
                    raise ChangeRefused(
                        f"{spec.full_name} was changed meanwhile: it is at spec {stored[0].spec_rev}, not "
                        f"{expected_rev}. Look at it again."
                    )
                return self._change(keys, *stored, spec, who, migrate)
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

    def preview(self, spec: TaskSpec) -> Applied:
        """Return what an apply of this spec would change in a task that exists, and write nothing.

        Raises NotFound, ChangeRefused, InvalidSpec.
        """
        check_names(spec)
        task = self.open(spec.workspace, spec.name)
        old, present = task.document.spec_rev, task.spec
        change = change_of(present.label_names, spec.labels)
        wanted = spec.without_lineage()
        changes = describe_changes(present, wanted)
        _refuse(wanted, changes)
        check_annotatable(wanted, present, self._max_labels)
        return Applied(False, old, changes, tuple(fates(change, count_labels(task))))

    def _change(
        self, keys: TaskKeys, document: TaskDocument, etag: str, spec: TaskSpec, who: str, migrate: bool
    ) -> Applied:
        """Write a new revision of the spec if it differs. Raises Changed, ChangeRefused."""
        old, _ = documents.load(self._store, keys.spec(document.spec_rev), SpecDocument)
        before = old.task_spec()
        change, spec = change_of(before.label_names, spec.labels), spec.without_lineage()
        spec = _with_bootstrap(spec, before.loop.bootstrap if spec.teachable else None)
        changes = describe_changes(before, spec)
        if not changes:
            return Applied(created=False, spec_rev=document.spec_rev)
        _refuse(spec, changes)
        check_annotatable(spec, before, self._max_labels)
        told = tuple[str, ...]()
        if spec.label_names != before.label_names:
            told = tuple(fates(change, count_labels(self.open(keys.workspace, keys.task))))
            if not migrate:
                raise ChangeRefused(_unasked(spec, told))
            document = self._new_generation(keys, document, spec, change, who)
        wanted = _with_later_fields(old.spec, spec)
        rev = self._write_spec(keys, document.spec_rev + 1, wanted, who, document.label_set_rev)
        documents.replace(self._store, keys.document, document.evolve(spec_rev=rev), etag)
        return Applied(created=False, spec_rev=rev, changes=changes, fates=told)

    def _new_generation(
        self, keys: TaskKeys, document: TaskDocument, spec: TaskSpec, change: LabelChange, who: str
    ) -> TaskDocument:
        """Write the label set under the first free number, or find it where an interrupted apply left it."""
        generation, rev = document.generation + 1, document.label_set_rev
        fates = tuple(LabelFate(label=name, becomes=now) for name, now in change.becomes.items())
        while True:
            rev += 1
            wanted = LabelSetDocument(
                rev=rev, parent=document.label_set_rev, generation=generation, labels=spec.label_names, fates=fates,
                who=who, created_at=datetime.now(UTC),
            )  # fmt: skip
            stored = documents.create_or_get(self._store, keys.label_set(rev), wanted)
            same = (stored.parent, stored.generation, stored.labels, stored.fates)
            if same == (wanted.parent, generation, wanted.labels, fates):
                return document.evolve(generation=generation, label_set_rev=rev)

    def _write_spec(self, keys: TaskKeys, rev: int, spec: dict[str, Any], who: str, label_set_rev: int = 1) -> int:
        """Write the spec under the first free number, or find it where an interrupted apply left it."""
        while True:
            wanted = SpecDocument(
                rev=rev, spec=spec, who=who, created_at=datetime.now(UTC), label_set_rev=label_set_rev
            )
            stored = documents.create_or_get(self._store, keys.spec(rev), wanted)
            if (stored.spec, stored.label_set_rev) == (spec, label_set_rev):
                return rev
            rev += 1


def _with_bootstrap(spec: TaskSpec, otherwise: str | None) -> TaskSpec:
    """Return the spec with this ``loop.bootstrap`` where it names none."""
    if spec.loop.bootstrap is not None or otherwise is None:
        return spec
    return spec.model_copy(update={"loop": spec.loop.model_copy(update={"bootstrap": otherwise})})


def _unasked(spec: TaskSpec, told: Sequence[str]) -> str:
    """What is said where the labels would change and nobody has agreed to it."""
    told = told or ["only their order is another one, and a version with the new order is trained"]
    lines = [f"{spec.full_name} stays as it is, because its labels would change:", *told]
    return "\n".join([*lines, "If that is what you want, apply it again with --migrate-labels."])


def _refuse(spec: TaskSpec, changes: Sequence[FieldChange]) -> None:
    refused = [change for change in changes if change.change in _ADVICE]
    if refused:
        lines = [f"{change} {_ADVICE[change.change]}" for change in refused]
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
