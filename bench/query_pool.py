"""What a query costs on a large pool: each strategy's seconds, and its peak memory above the pool.

    python -m bench.query_pool [--rows 1000000] [--width 384] [--labels 20] [--batch 20] [--strategies breaking-ties]

The pool is made up: embeddings around a centre for each label, of which 200 rows are labelled, and a few-shot head of
these. Embeddings and probabilities of the whole pool are in memory before a strategy starts. What the probabilities
took is printed first. Memory is the peak of the process above what it had. Strategies run with their default settings,
one after the other, in one process.

Bar: the default strategy takes at most 2 s and 1 GB above a pool of a million.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from bench.query_quality import Asked, Pool
from tornio.arrays import FloatMatrix, IntArray
from tornio.query import COLD_STARTS, STRATEGIES, Candidates
from tornio.query.strategies.several_labels import CategoryVectorInconsistency
from tornio.query.vectors import blocks
from tornio.spec import LoopSpec

KNOWN = 200
SECONDS, GIGABYTES = 2.0, 1.0
"""The bar of the default strategy."""
_OF_SEVERAL = CategoryVectorInconsistency.__mro__[1]


class LargePool(Asked):
    """A pool whose probabilities are computed once, without a copy of all embeddings."""

    @cached_property
    def predicted(self) -> FloatMatrix:
        assert self.head is not None
        vectors = self.pool.vectors
        found = np.empty((len(vectors), len(self.pool.names)), dtype=np.float32)
        for block in blocks(len(vectors), vectors.shape[1]):
            found[block] = self.head.probabilities(self.head.logits(vectors[block]))
        return found

    def probabilities(self, rows: IntArray) -> FloatMatrix:
        return self.predicted[rows]


def made_up(rows: int, width: int, labels: int) -> Pool:
    """Return a pool of rows of length about one around a centre for each label."""
    random = np.random.default_rng(0)
    centres = random.normal(size=(labels, width)).astype(np.float32)
    truth = random.integers(0, labels, rows)
    vectors = np.empty((rows, width), dtype=np.float32)
    for block in blocks(rows, width):
        noise = random.standard_normal((len(truth[block]), width), dtype=np.float32)
        vectors[block] = (centres[truth[block]] + 2 * noise) / np.float32(np.sqrt(5 * width))
    return Pool(vectors, truth, vectors[:0], truth[:0], tuple(f"label {number}" for number in range(labels)))


def memory(field: str) -> float:
    """Return an entry of the process's status, GB: VmRSS, what it has, or VmHWM, the most since ``forget_peak``."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024 / 1e9
    raise RuntimeError(f"the system does not say {field}")


def forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def measured(pool: Pool, source: Asked, name: str, batch: int, cold: bool, multi_label: bool) -> tuple[float, float]:
    """Return the seconds of a query, and the peak memory above what the process had, GB."""
    strategy = (COLD_STARTS if cold else STRATEGIES).get(name)
    rows = np.setdiff1d(np.arange(len(pool.vectors)), np.asarray(source.rows, dtype=np.int64))
    gc.collect()
    before = memory("VmRSS")
    forget_peak()
    began = time.monotonic()
    candidates = Candidates(source, rows, pool.names, multi_label, strategy.settings())
    picked = strategy.select(candidates, batch, 0)
    seconds = time.monotonic() - began
    assert len(set(picked.rows.tolist())) == batch
    return seconds, memory("VmHWM") - before


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000, help="texts of the pool (default: %(default)s)")
    parser.add_argument("--width", type=int, default=384, help="length of an embedding (default: %(default)s)")
    parser.add_argument("--labels", type=int, default=20, help="labels of the task (default: %(default)s)")
    parser.add_argument("--batch", type=int, default=20, help="texts of the batch (default: %(default)s)")
    parser.add_argument("--strategies", help="default: all")
    options = parser.parse_args(arguments)
    pool = made_up(options.rows, options.width, options.labels)
    known = [int(row) for row in np.random.default_rng(1).permutation(options.rows)[:KNOWN]]
    source = LargePool(pool, known, pool.fit(known, 0))
    began = time.monotonic()
    _ = source.predicted
    print(f"probabilities of the pool: {time.monotonic() - began:.2f} s", flush=True)
    default, reached = LoopSpec().strategy, True
    print(f"{options.rows} texts, {options.width} numbers, {options.labels} labels, batch {options.batch}; pool "
          f"{pool.vectors.nbytes / 1e9:.2f} GB", flush=True)  # fmt: skip
    for name in options.strategies.split(",") if options.strategies else [*STRATEGIES.names, "diverse"]:
        cold = name not in STRATEGIES
        several = not cold and isinstance(STRATEGIES.get(name), _OF_SEVERAL)
        seconds, peak = measured(pool, source, name, options.batch, cold, several)
        print(f"{name:32s} {seconds:6.2f} s  {peak:5.2f} GB", flush=True)
        if name == default and options.rows >= 1_000_000:
            reached = seconds <= SECONDS and peak <= GIGABYTES
            print(f"bar {SECONDS} s and {GIGABYTES} GB: {'reached' if reached else 'MISSED'}", flush=True)
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
