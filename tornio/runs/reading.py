"""Runs, read from the store: each costs a few small objects, whatever its work has written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from tornio.errors import NotFound
from tornio.runs.record import RunRecord
from tornio.schemas.base import Document
from tornio.schemas.runs import RunAsk, RunFailure, RunPlan, RunProgress, RunResult, RunStarted
from tornio.storage import documents
from tornio.storage.keys import RunKeys, TaskKeys, run_of, workspace_runs
from tornio.storage.port import ObjectInfo, ObjectStore

_D = TypeVar("_D", bound=Document)
_PARALLEL = 8
_EVER = datetime.min.replace(tzinfo=UTC)


def workspaces_with_runs(store: ObjectStore) -> Iterator[str]:
    """Those that have runs of no task. Costs two listings of one key a workspace: it leaps over what a folder holds
    (see ``Tasks.names``)."""
    after: str | None = None
    while (info := next(iter(store.list("", start_after=after)), None)) is not None:
        name = info.key.partition("/")[0]
        after = f"{name}/~" if "/" in info.key else info.key
        if any(True for _ in store.list(workspace_runs(name))):
            yield name


@dataclass(frozen=True, slots=True)
class RunReader:
    """The runs of a task, or, without one, those of a workspace that have none."""

    store: ObjectStore
    workspace: str
    task: str | None

    def run(self, run: str) -> RunRecord:
        """One run as it stands. Raises NotFound."""
        keys = self._keys(run)
        found = documents.find(self.store, keys.plan, RunPlan)
        if found is None:
            raise NotFound(f"there is no run {run} in {self._name}: `tornio runs` lists those that there are")
        ask, result = self._ask(run), documents.find(self.store, keys.result, RunResult)
        if result is not None:
            return RunRecord(found[0], ask, result[0].attempt, result=result[0])
        attempt = _last_attempt(info.key.removeprefix(keys.root) for info in self.store.list(keys.root + "attempts/"))
        if not attempt:
            return RunRecord(found[0], ask)
        return RunRecord(
            found[0],
            ask,
            attempt,
            started=_or_none(documents.find(self.store, keys.started(attempt), RunStarted)),
            failure=_or_none(documents.find(self.store, keys.failure(attempt), RunFailure)),
            progress=_or_none(documents.find(self.store, keys.progress(attempt), RunProgress)),
        )

    def runs(self, most: int) -> list[RunRecord]:
        """The ``most`` runs that moved last, newest first. Costs a listing of all, and the documents of these."""
        moved: dict[str, datetime] = {}
        for name, info in self._documents():
            moved[name] = max(moved.get(name, _EVER), info.modified or _EVER)
        newest = sorted(moved, key=lambda name: (moved[name], name), reverse=True)[:most]
        with ThreadPoolExecutor(_PARALLEL) as pool:
            found = [record for record in pool.map(self._run_or_none, newest) if record is not None]
        return sorted(found, key=_when, reverse=True)

    def asks(self) -> list[tuple[str, str]]:
        """The runs that users asked for, each with the ETag of the asking."""
        if self.task is None:
            return []
        folder = TaskKeys(self.workspace, self.task).run_asks
        listed = self.store.list(folder)
        return [(info.key.removeprefix(folder).removesuffix(".json"), info.etag) for info in listed]

    def _documents(self) -> Iterable[tuple[str, ObjectInfo]]:
        """Run and listing line of each document that tells of a run: what its work has written is passed over."""
        root = self._runs
        for info in self.store.list(root):
            run, _, name = info.key.removeprefix(root).partition("/")
            if name in ("plan.json", "result.json") or name.startswith("attempts/"):
                yield run, info

    def _run_or_none(self, run: str) -> RunRecord | None:
        try:
            return self.run(run)
        except NotFound:  # only its leftovers are there
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
    """Of ``attempts/{n}/{document}``; one that failed before it began has no other than its failure."""
    told = [name.split("/") for name in names]
    return max((int(n) for _, n, name in told if name in ("started.json", "failure.json")), default=0)


def _or_none(found: tuple[_D, str] | None) -> _D | None:
    return None if found is None else found[0]


def _when(record: RunRecord) -> datetime:
    asked = record.ask.asked_at if record.ask else None
    return record.began or asked or _EVER
