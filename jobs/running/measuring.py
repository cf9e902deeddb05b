"""Numbers about a task that the placement of a run depends on, read from the store."""

from __future__ import annotations

import io
import logging
from functools import cache

import pyarrow.parquet as pq

from jobs.sizing import Facts
from tornio.errors import IntegrityError, NotFound
from tornio.models.kinds import KINDS
from tornio.pool.blank import digest_of
from tornio.registry import Registry
from tornio.schemas.keys import TaskKeys, seq_of
from tornio.schemas.runs import RunPlan
from tornio.storage.port import ObjectStore
from tornio.tasks import Task

log = logging.getLogger(__name__)


class Measure:
    """``measure(plan) -> Facts``. Keeps two numbers per part of a pool and no texts, since a controller measures many
    pools."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._parts: dict[str, tuple[int, str]] = {}

    def __call__(self, plan: RunPlan) -> Facts | None:
        """Return the facts of a run, or None where it has no task or its task cannot be read. Raises Unavailable."""
        if plan.task is None:
            return None
        keys = TaskKeys(plan.workspace, plan.task)
        try:
            return self._facts(plan, keys)
        except (NotFound, IntegrityError) as error:
            log.warning("The size of run %s is not known: %s", plan.run, error)
            return None

    def _facts(self, plan: RunPlan, keys: TaskKeys) -> Facts:
        task = Task(self._store, keys)
        parts = self._pool(keys, plan.args.get("pool_seq"))
        embedded = {info.key.rpartition(",")[2].removesuffix(".parquet") for info in self._store.list(keys.embedded)}
        return Facts(
            spec=task.spec_at(plan.args["spec_rev"]),
            pool=sum(rows for rows, _ in parts),
            not_embedded=sum(rows for rows, digest in parts if digest not in embedded),
            own_encoders=self._own_encoders(plan, keys),
            count_labels=cache(lambda: _labels(task, plan)),
        )

    def _pool(self, keys: TaskKeys, upto: int | None) -> list[tuple[int, str]]:
        """Return the rows and the digest of each part. A part is fetched once."""
        found = []
        for info in self._store.list(keys.pool):
            if upto is not None and seq_of(info.key) > upto:
                break
            if info.key not in self._parts:
                body = self._store.get(info.key).body
                rows = pq.read_metadata(io.BytesIO(body)).num_rows
                self._parts[info.key] = rows, digest_of(body)
            found.append(self._parts[info.key])
        return found

    def _own_encoders(self, plan: RunPlan, keys: TaskKeys) -> int:
        """Return how many of the versions that the plan names have an encoder of their own."""
        registry = Registry(self._store, keys)
        named = {plan.args.get("version"), plan.args.get("current"), *plan.args.get("rivals", ())} - {None}
        return sum(_has_own_encoder(registry, version) for version in named)


def _has_own_encoder(registry: Registry, version: str) -> bool:
    """Return False for a version that cannot be read: the run will report it."""
    try:
        kind = KINDS.get(registry.manifest(version).kind)
    except (NotFound, IntegrityError):
        return False
    return kind is not None and kind.own_encoder


def _labels(task: Task, plan: RunPlan) -> int:
    """Return how many records have a label; 0 where the log cannot be read, which the run will report."""
    try:
        return len({event.record_id for event in task.labels.read(plan.args.get("label_seq")).events})
    except (NotFound, IntegrityError) as error:
        log.warning("The labels of run %s cannot be counted: %s", plan.run, error)
        return 0
