"""The parts of a score run in the store."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from tornio.arrays import BoolVector, FloatMatrix
from tornio.errors import AlreadyExists
from tornio.schemas.jobs import ScoreArgs
from tornio.schemas.tables import EMBEDDINGS, SCORE_INPUT
from tornio.scoring.ranking import RANKINGS
from tornio.storage.keys import RunKeys
from tornio.storage.port import ObjectStore


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of a run in the store."""

    keys: RunKeys
    store: ObjectStore

    def input(self, part: int) -> pa.Table:
        key = self.keys.part("input", part)
        return SCORE_INPUT.decode(self.store.get(key).body, key)

    def embeddings(self, part: int) -> tuple[FloatMatrix, BoolVector]:
        """float32 [rows, dim], and which of the texts were cut."""
        key = self.keys.part("embeddings", part)
        table = EMBEDDINGS.decode(self.store.get(key).body, key)
        flat = table.column("embedding").combine_chunks().flatten().to_numpy(zero_copy_only=False)
        vectors = flat.astype(np.float32, copy=False).reshape(len(table), -1)
        return vectors, table.column("truncated").to_numpy(zero_copy_only=False)

    def write(self, name: str, part: int, body: bytes) -> None:
        """Once: of two workers that did the same part the second leaves what stands there."""
        self.write_once(self.keys.part(name, part), body)

    def write_once(self, key: str, body: bytes) -> None:
        """Leave what stands there."""
        with contextlib.suppress(AlreadyExists):
            self.store.put_if_absent(key, body)

    def missing(self, name: str, count: int) -> list[int]:
        """The parts that nobody has written yet."""
        there = {info.key for info in self.store.list(self.keys.folder(name))}
        return [part for part in range(count) if self.keys.part(name, part) not in there]


def scored_as(args: ScoreArgs) -> str:
    """The folder that workers write to: some rankings must see all rows before any has its suspicion."""
    return "unranked" if RANKINGS[args.ranking].whole else "scores"
