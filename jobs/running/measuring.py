"""What the placement of a run needs to know of its task, read from the store."""

from __future__ import annotations

import hashlib
import io
import logging

import pyarrow.parquet as pq

from jobs.sizing import Facts
from tornio.errors import IntegrityError, NotFound
from tornio.registry import Registry
from tornio.schemas.runs import RunPlan
from tornio.storage.keys import TaskKeys, seq_of
from tornio.storage.port import ObjectStore
from tornio.tasks import Task

log = logging.getLogger(__name__)
FINE_TUNED = "fine-tuned"


class Measure:
    """``measure(plan) -> Facts``. Keeps two numbers a part of a pool, no texts: a controller measures many pools."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._parts: dict[str, tuple[int, str]] = {}

    def __call__(self, plan: RunPlan) -> Facts | None:
        """None where the run has no task, or one that cannot be read. Raises Unavailable."""
        if plan.task is None:
            return None
        keys = TaskKeys(plan.workspace, plan.task)
        try:
            return self._facts(plan, keys)
        except (NotFound, IntegrityError) as error:
            log.warning("the size of run %s is not known: %s", plan.run, error)
            return None

    def _facts(self, plan: RunPlan, keys: TaskKeys) -> Facts:
        task = Task(self._store, keys)
        spec, fine_tuned = task.spec_at(plan.args["spec_rev"]), self._fine_tuned(plan, keys)
        parts = self._pool(keys, plan.args.get("pool_seq"))
        embedded = {info.key.rpartition(",")[2].removesuffix(".parquet") for info in self._store.list(keys.embedded)}
        labels = 0
        if fine_tuned or spec.classifier.kind != "few-shot":  # the size of no other depends on it
            labels = len({event.record_id for event in task.labels.read(plan.args.get("label_seq")).events})
        return Facts(
            spec=spec,
            pool=sum(rows for rows, _ in parts),
            not_embedded=sum(rows for rows, digest in parts if digest not in embedded),
            labels=labels,
            own_encoders=fine_tuned,
        )

    def _pool(self, keys: TaskKeys, upto: int | None) -> list[tuple[int, str]]:
        """Rows and digest of each part; a part is fetched once."""
        found = []
        for info in self._store.list(keys.pool):
            if upto is not None and seq_of(info.key) > upto:
                break
            if info.key not in self._parts:
                body = self._store.get(info.key).body
                rows = pq.read_metadata(io.BytesIO(body)).num_rows
                self._parts[info.key] = rows, hashlib.sha256(body).hexdigest()
            found.append(self._parts[info.key])
        return found

    def _fine_tuned(self, plan: RunPlan, keys: TaskKeys) -> int:
        registry = Registry(self._store, keys)
        named = {plan.args.get("version"), plan.args.get("current"), *plan.args.get("rivals", ())} - {None}
        return sum(self._is_fine_tuned(registry, version) for version in named)

    def _is_fine_tuned(self, registry: Registry, version: str) -> bool:
        try:
            return registry.manifest(version).kind == FINE_TUNED
        except (NotFound, IntegrityError):
            return False
