"""Seconds from the last answer of a batch to the next batch, in a pool of 5,000 and of 100,000 texts.

    python -m bench.next_batch [--sizes 5000 100000] [--batches 4]

The controller's own code with real jobs in this process: it reads the answers, trains a few-shot head, judges and
promotes it, scores the pool, and sends the next 20 texts. The store is in memory, and the pool's embeddings (768
numbers of random words) are cached by the first of these batches, as in a task that has made one. Not counted: the
wait until the controller looks (two seconds at most while a batch is open), and until an idle worker starts. Bars: 5 s
for 5,000 texts, 15 s for 100,000. Prints wall-clock and processor seconds of each batch.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np

from bench.turning import Turning
from jobs.context import JobContext
from services.controller.reconciler import Reconciler
from tornio.models.loading import Loader
from tornio.models.port import Embedded
from tornio.records import Record
from tornio.registry import NodeCache, blobs
from tornio.schemas import keys
from tornio.schemas.registry import EncoderDocument, EncoderUse
from tornio.spec import TaskSpec
from tornio.storage import documents
from tornio.storage.memory import MemoryStore
from tornio.tasks import Tasks

WIDTH = 768
DIGEST = blobs.digest_of({})
ENCODER = EncoderDocument(
    digest=DIGEST, source="words", architecture="words", dimension=WIDTH, pooling="mean", normalise=False,
    max_length=256, files={},
)  # fmt: skip
LABELS = ("billing", "delivery", "login", "feedback")
BARS = {5_000: 5.0, 100_000: 15.0}
_WORDS = np.random.default_rng(0).normal(size=(4096, WIDTH)).astype(np.float32)


class WordEncoder:
    """The mean of a random vector for each word: takes no time, and has something to learn."""

    dimension = WIDTH

    def embed(self, texts: Sequence[str]) -> Embedded:
        rows = [
            np.mean([_WORDS[crc32(word.encode()) % 4096] for word in text.split() or [""]], axis=0) for text in texts
        ]
        return Embedded(np.asarray(rows, dtype=np.float32), np.zeros(len(texts), dtype=bool))


class WordLoader(Loader):
    """The real loader, but for the encoder."""

    def encoder(self, use: EncoderUse) -> Any:
        return WordEncoder()

    def encoder_use(self, name: str, max_length: int) -> EncoderUse:
        return EncoderUse(digest=DIGEST, pooling="mean", normalise=False, max_length=max_length)

    def layered(self, use: EncoderUse) -> EncoderUse:
        return use.evolve(layers=(-1,))


def texts(count: int) -> tuple[list[Record], dict[str, str]]:
    rng = np.random.default_rng(1)
    records, truth = list[Record](), dict[str, str]()
    for number in range(count):
        label = LABELS[number % len(LABELS)]
        words = [f"{label}{rng.integers(20)}" for _ in range(3)] + [f"word{rng.integers(2000)}" for _ in range(9)]
        records.append(Record(f"r{number:06d}", " ".join([*words, str(number)])))
        truth[records[-1].record_id] = label
    return records, truth


def settle(reconciler: Reconciler, batches: int) -> None:
    """Look until this many batches were sent and the loop waits for answers."""
    for _ in range(10_000):
        look = reconciler.look()
        if not look.busy and look.state.batches and look.state.batch_number >= batches:
            return
    raise RuntimeError(f"no batch {batches}: {look.standing}")


def measure(size: int, batches: int, folder: Path) -> None:
    spec = TaskSpec.model_validate(
        {"workspace": "bench", "name": "loop", "labels": list(LABELS), "teacher": {"kind": "none"},
         "classifier": {"kind": "few-shot"}, "loop": {"batch_size": 20}}
    )  # fmt: skip
    store = MemoryStore()
    documents.create(store, keys.encoder(DIGEST), ENCODER)
    cache = NodeCache(folder, store)
    context = JobContext(store, cache, WordLoader(store, cache, "float32"), Tasks(store))
    records, truth = texts(size)
    turning = Turning(spec, truth, folder, store=store, context=context)
    for start in range(0, size, 10_000):
        turning.task.add_records(records[start : start + 10_000])
    reconciler = turning.reconciler()
    settle(reconciler, 1)
    for batch in range(2, batches + 2):
        turning.answer_all()
        wall, processor = time.monotonic(), time.process_time()
        settle(reconciler, batch)
        seconds, cpu = time.monotonic() - wall, time.process_time() - processor
        first = " (embeds the pool)" if batch == 2 else ""
        bar = f", bar {BARS[size]:g}" if size in BARS else ""
        spent = f"{seconds:6.2f} s, {cpu:6.2f} processor seconds"
        print(f"{size:>7,} texts, batch {batch}: {spent}{bar}{first}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[5_000, 100_000])
    parser.add_argument("--batches", type=int, default=4)
    args = parser.parse_args()
    for size in args.sizes:
        with tempfile.TemporaryDirectory() as folder:
            measure(size, args.batches, Path(folder))


if __name__ == "__main__":
    main()
