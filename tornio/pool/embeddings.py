"""Embeddings of a pool, computed once: cached in the process's memory, and beside the pool for other processes."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from threading import Lock

import numpy as np
import pyarrow as pa

from tornio.arrays import FloatMatrix, IntArray
from tornio.errors import IntegrityError, NotFound
from tornio.models.port import Embedded
from tornio.pool.view import PoolPart, PoolView
from tornio.schemas.keys import TaskKeys
from tornio.schemas.registry import EncoderUse
from tornio.schemas.tables import EMBEDDINGS, list_column
from tornio.storage.port import ObjectStore

log = logging.getLogger(__name__)

MEMORY_BYTES = 512 << 20
"""Size of the vectors that a process keeps: 87,000 texts of four layers of 384 numbers. The least recently used
go first."""

Embed = Callable[[Sequence[str]], Embedded]


class VectorMemory:
    """A cache of vectors, bounded in bytes, that drops the least recently used. Thread-safe."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._kept: OrderedDict[str, Embedded] = OrderedDict()
        self._lock = Lock()

    def get(self, name: str) -> Embedded | None:
        with self._lock:
            if name in self._kept:
                self._kept.move_to_end(name)
            return self._kept.get(name)

    def put(self, name: str, embedded: Embedded) -> None:
        with self._lock:
            self._forget(name)
            self._kept[name] = embedded
            self._bytes += embedded.vectors.nbytes
            while self._bytes > self._max_bytes and self._kept:
                self._forget(next(iter(self._kept)))

    def _forget(self, name: str) -> None:
        if (old := self._kept.pop(name, None)) is not None:
            self._bytes -= old.vectors.nbytes


_PROCESS = VectorMemory(MEMORY_BYTES)
"""Shared by all caches of the process. Names are digests of content, so the same name always means the same vectors."""


class EmbeddingCache:
    """The embeddings of one task's pool, one file per part of the pool. They may be deleted at any time."""

    def __init__(self, store: ObjectStore, keys: TaskKeys, memory: VectorMemory = _PROCESS) -> None:
        self._store = store
        self._keys = keys
        self._memory = memory

    def parts(self, view: PoolView, use: EncoderUse, precision: str, embed: Embed) -> Iterator[Embedded]:
        """Yield the embeddings of each part of the view, float32 [n, dim], in its order; none for an empty view.

        ``precision``: the number format that ``embed`` computes in. ``embed`` is called with the texts of each part
        that has no embeddings yet. The arrays are shared: do not write to them.
        """
        return (self._of_part(part, _name(part, use, precision), embed) for part in view.parts)

    def mapped(
        self,
        view: PoolView,
        rows: IntArray,
        use: EncoderUse,
        precision: str,
        embed: Embed,
        compute: Callable[[FloatMatrix], FloatMatrix],
    ) -> FloatMatrix:
        """Return ``compute`` of the embeddings of these rows of the view, float32 [rows, width], in their order.

        ``compute`` gets float32 [n, dim], the rows of one part, so that the vectors of a large pool are never in memory
        at once. All parts are embedded, also those without a row. Raises IndexError for a row that the view does not
        have, and for no rows.
        """
        if not len(rows) or rows.min() < 0 or rows.max() >= len(view):
            raise IndexError(f"rows {rows} of a pool of {len(view)}")
        found: list[FloatMatrix] = []
        places: list[IntArray] = []
        start = 0
        for embedded in self.parts(view, use, precision, embed):
            wanted = np.flatnonzero((rows >= start) & (rows < start + len(embedded.vectors)))
            if len(wanted):
                found.append(compute(embedded.vectors[rows[wanted] - start]))
                places.append(wanted)
            start += len(embedded.vectors)
        out = np.empty((len(rows), found[0].shape[1]), dtype=np.float32)
        for place, computed in zip(places, found, strict=True):
            out[place] = computed
        return out

    def _of_part(self, part: PoolPart, name: str, embed: Embed) -> Embedded:
        if (kept := self._memory.get(name)) is not None:
            return kept
        embedded = self._stored(part, name)
        if embedded is None:
            embedded = embed(part.texts)
            self._store.put(self._keys.embeddings(name), _encode(part, embedded))
        embedded.vectors.flags.writeable = embedded.truncated.flags.writeable = False
        self._memory.put(name, embedded)
        return embedded

    def _stored(self, part: PoolPart, name: str) -> Embedded | None:
        key = self._keys.embeddings(name)
        try:
            return _decode(part, self._store.get(key).body, key)
        except NotFound:
            return None
        except IntegrityError as error:
            log.warning("Embedding %d texts again: %s", len(part.table), error)
            return None


def _name(part: PoolPart, use: EncoderUse, precision: str) -> str:
    pooling = f"{use.pooling}-normalised" if use.normalise else use.pooling
    layers = "layer" + "_".join(map(str, use.pooled))
    return ",".join((use.digest, pooling, layers, str(use.max_length), precision, part.digest))


def _encode(part: PoolPart, embedded: Embedded) -> bytes:
    columns = [part.table["record_id"], list_column(embedded.vectors), pa.array(embedded.truncated)]
    return EMBEDDINGS.encode(pa.Table.from_arrays(columns, schema=EMBEDDINGS.columns))


def _decode(part: PoolPart, body: bytes, where: str) -> Embedded:
    table = EMBEDDINGS.decode(body, where)
    if not table["record_id"].equals(part.table["record_id"]):
        raise IntegrityError(f"{where} does not belong to the pool part in its name")
    flat = table["embedding"].combine_chunks().flatten().to_numpy()
    if flat.size % len(table):
        raise IntegrityError(f"{where} has vectors of different lengths")
    vectors = flat.reshape(len(table), -1).astype(np.float32)
    return Embedded(vectors, table["truncated"].to_numpy().astype(np.bool_))
