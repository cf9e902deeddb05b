"""The parts of a score run in the store."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from tornio.arrays import BoolVector, FloatMatrix
from tornio.errors import AlreadyExists
from tornio.schemas.keys import RunKeys
from tornio.schemas.scoring import ScoreArgs
from tornio.schemas.tables import EMBEDDINGS, SCORE_INPUT
from tornio.scoring.ranking import RANKINGS
from tornio.storage.port import ObjectStore


@dataclass(frozen=True, slots=True)
class Parts:
    """Reads and writes the parts of a run. Each part is written once."""

    keys: RunKeys
    store: ObjectStore

    def input(self, part: int) -> pa.Table:
        key = self.keys.part("input", part)
        return SCORE_INPUT.decode(self.store.get(key).body, key)

    def embeddings(self, part: int) -> tuple[FloatMatrix, BoolVector]:
        """Return the vectors of a part, float32 [rows, dim], and which of the texts were cut, bool [rows]."""
        key = self.keys.part("embeddings", part)
        table = EMBEDDINGS.decode(self.store.get(key).body, key)
        flat = table.column("embedding").combine_chunks().flatten().to_numpy(zero_copy_only=False)
        vectors = flat.astype(np.float32, copy=False).reshape(len(table), -1)
        return vectors, table.column("truncated").to_numpy(zero_copy_only=False)

    def write(self, name: str, part: int, body: bytes) -> None:
        """Write a part once. If two workers did the same part, the object of the first one stays."""
        self.write_once(self.keys.part(name, part), body)

    def write_once(self, key: str, body: bytes) -> None:
        """Write an object unless it exists."""
        with contextlib.suppress(AlreadyExists):
            self.store.put_if_absent(key, body)

    def missing(self, name: str, count: int) -> list[int]:
        """Return the parts that are not written yet."""
        written = {info.key for info in self.store.list(self.keys.folder(name))}
        return [part for part in range(count) if self.keys.part(name, part) not in written]


def scored_as(args: ScoreArgs) -> str:
    """Return the folder that workers write to: not ``scores`` for a ranking that needs all rows first."""
    return "unranked" if RANKINGS[args.ranking].whole else "scores"
