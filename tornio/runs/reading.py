"""Read runs from the store. Each costs a few small objects, however much its work has written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from tornio.errors import NotFound
from tornio.runs.record import RunRecord
from tornio.schemas.base import Document
from tornio.schemas.keys import RunKeys, TaskKeys, run_of, workspace_runs
from tornio.schemas.runs import RunAsk, RunFailure, RunPlan, RunProgress, RunResult, RunStarted, job_of
from tornio.storage import documents
from tornio.storage.port import ObjectInfo, ObjectStore

_D = TypeVar("_D", bound=Document)
_PARALLEL = 8
_EVER = datetime.min.replace(tzinfo=UTC)


def workspaces_with_runs(store: ObjectStore) -> Iterator[str]:
    """Yield the workspaces that have runs without a task. It costs two listings of one key per workspace, because it
    skips the contents of each folder (see ``Tasks.names``)."""
    after: str | None = None
    while (info := next(iter(store.list("", start_after=after)), None)) is not None:
        name = info.key.partition("/")[0]
        after = f"{name}/~" if "/" in info.key else info.key
        if any(True for _ in store.list(workspace_runs(name))):
            yield name


@dataclass(frozen=True, slots=True)
class RunReader:
    """The runs of a task. ``task`` None: the runs of a workspace that belong to no task."""

    store: ObjectStore
    workspace: str
    task: str | None

    def run(self, run: str) -> RunRecord:
        """Return the present state of one run. Raises NotFound."""
        keys = self._keys(run)
        stored = documents.find(self.store, keys.plan, RunPlan)
        if stored is None:
            raise NotFound(f"there is no run {run} in {self._name}. List the runs with `tornio runs`")
        plan, ask, result = stored[0], self._ask(run), documents.find(self.store, keys.result, RunResult)
        if result is not None:
            return RunRecord(plan, ask, result[0].attempt, result=result[0])
        attempt = _last_attempt(info.key.removeprefix(keys.root) for info in self.store.list(keys.root + "attempts/"))
        if not attempt:
            return RunRecord(plan, ask)
        return RunRecord(
            plan,
            ask,
            attempt,
            started=_or_none(documents.find(self.store, keys.started(attempt), RunStarted)),
            failure=_or_none(documents.find(self.store, keys.failure(attempt), RunFailure)),
            progress=_or_none(documents.find(self.store, keys.progress(attempt), RunProgress)),
        )

    def runs(self, most: int, job: str | None = None) -> list[RunRecord]:
        """Return the ``most`` runs that changed last, newest first. Costs a listing of all and these documents.

        ``job``: only its runs.
        """
        moved: dict[str, datetime] = {}
        for name, info in self._documents():
            if job is not None and job_of(name) != job:
                continue
            moved[name] = max(moved.get(name, _EVER), info.modified or _EVER)
        newest = sorted(moved, key=lambda name: (moved[name], name), reverse=True)[:most]
        with ThreadPoolExecutor(_PARALLEL) as pool:
            records = [record for record in pool.map(self._run_or_none, newest) if record is not None]
        return sorted(records, key=_when, reverse=True)

    def asks(self) -> list[tuple[str, str]]:
        """Return the runs that users asked for, each with the ETag of the document that asks for it."""
        if self.task is None:
            return []
        folder = TaskKeys(self.workspace, self.task).run_asks
        listed = self.store.list(folder)
        return [(info.key.removeprefix(folder).removesuffix(".json"), info.etag) for info in listed]

    def _documents(self) -> Iterable[tuple[str, ObjectInfo]]:
        """Yield run and listing line of each document about a run. The files that its work has written are skipped."""
        root = self._runs
        for info in self.store.list(root):
            run, _, name = info.key.removeprefix(root).partition("/")
            if name in ("plan.json", "result.json") or name.startswith("attempts/"):
                yield run, info

    def _run_or_none(self, run: str) -> RunRecord | None:
        try:
            return self.run(run)
        except NotFound:  # only files of its work remain
            return None

    def _ask(self, run: str) -> RunAsk | None:
        if self.task is None:
            return None
        return _or_none(documents.find(self.store, TaskKeys(self.workspace, self.task).run_ask(run), RunAsk))

    def _keys(self, run: str) -> RunKeys:
        return run_of(self.workspace, self.task, run)

    @property
    def _runs(self) -> str:
        return workspace_runs(self.workspace) if self.task is None else TaskKeys(self.workspace, self.task).runs

    @property
    def _name(self) -> str:
        return self.workspace if self.task is None else f"{self.workspace}/{self.task}"


def _last_attempt(names: Iterable[str]) -> int:
    """The last attempt by the names ``attempts/{n}/{document}``. One that failed before it began has a failure only."""
    parts = [name.split("/") for name in names]
    return max((int(n) for _, n, name in parts if name in ("started.json", "failure.json")), default=0)


def _or_none(stored: tuple[_D, str] | None) -> _D | None:
    return None if stored is None else stored[0]


def _when(record: RunRecord) -> datetime:
    asked = record.ask.asked_at if record.ask else None
    return record.began or asked or _EVER
