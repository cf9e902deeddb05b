"""A teacher's probabilities for every text of a pool, computed once and stored beside the pool."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa

from tornio.arrays import FloatMatrix
from tornio.errors import IntegrityError, NotFound
from tornio.pool.view import PoolPart, PoolView
from tornio.schemas.keys import TaskKeys
from tornio.schemas.tables import SOFT_LABELS, list_column
from tornio.storage.port import ObjectStore

log = logging.getLogger(__name__)

Score = Callable[[PoolPart], FloatMatrix]
"""Returns the probabilities of the texts of a part, float32 [texts, labels]."""


class SoftLabelCache:
    """The soft labels of one task's pool under one teacher: a file for each part of the pool. It may be deleted at any
    time."""

    def __init__(self, store: ObjectStore, keys: TaskKeys, digest: str, labels: Sequence[str], agent: str) -> None:
        """``digest``: names everything that the probabilities depend on, beside the texts. ``labels``: the columns.
        ``agent``: name of the teacher."""
        self._store = store
        self._labels = tuple(labels)
        self.agent = agent
        self._notes = {"labels": json.dumps(self._labels, ensure_ascii=False), "teacher": agent}
        self.folder = keys.soft_labels(digest)

    def probabilities(
        self, view: PoolView, score: Score, done: Callable[[int], None] = lambda _rows: None
    ) -> FloatMatrix:
        """Return float32 [n, labels] in the order of the view, n its length.

        ``score``: called with each part that is not stored yet. ``done``: called after each part with the
        number of records so far.
        """
        rows, parts = 0, []
        for part in view.parts:
            parts.append(self.of_part(part, score))
            rows += len(part.table)
            done(rows)
        return np.concatenate(parts) if parts else np.zeros((0, len(self._labels)), dtype=np.float32)

    def of_part(self, part: PoolPart, score: Score) -> FloatMatrix:
        """Return float32 [n, labels] in the order of the part; computed by ``score``, and stored, if it is not yet."""
        key = f"{self.folder}{part.digest}.parquet"
        try:
            return self._decode(part, self._store.get(key).body, key)
        except NotFound:
            pass
        except IntegrityError as error:
            log.warning("The soft labels of %d texts are computed again: %s", len(part.table), error)
        probabilities = np.asarray(score(part), dtype=np.float32)
        self._store.put(key, self._encode(part, probabilities))
        return probabilities

    def _encode(self, part: PoolPart, probabilities: FloatMatrix) -> bytes:
        columns = [part.table["record_id"], list_column(probabilities)]
        table = pa.Table.from_arrays(columns, schema=SOFT_LABELS.columns)
        return SOFT_LABELS.encode(table, self._notes)

    def _decode(self, part: PoolPart, body: bytes, where: str) -> FloatMatrix:
        table = SOFT_LABELS.decode(body, where)
        flat = table["probabilities"].combine_chunks().flatten().to_numpy()
        shape = (len(part.table), len(self._labels))
        if not table["record_id"].equals(part.table["record_id"]) or flat.size != shape[0] * shape[1]:
            raise IntegrityError(f"{where} does not belong to the part and the labels in its name")
        return np.asarray(flat.reshape(shape), dtype=np.float32)
