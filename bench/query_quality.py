"""Query strategies against random: accuracy of few-shot heads at the same number of labels, pool and test.

    python -m bench.query_quality --data trec [--batch 20] [--labels 200] [--pool 6000] [--test 2000] [--seeds 5]
        [--first 0] [--strategies badge,typiclust] [--cold] [--out curves.jsonl] [--show]

Each seed draws a pool, and a first batch at random that all strategies share. Then each strategy picks batch after
batch, as in a task. With ``--cold``, cold starts pick 32, 64 and 128 texts at once, each from nothing. Embeddings are
MiniLM's, as few-shot heads use them, and are computed once (``--cache``). Each curve is appended to ``--out`` as soon
as it is there, a curve that the file has is not computed again, and ``--show`` only prints the table: the mean accuracy
over the curve after the first batch and at its end, with the differences to random and their 90 % intervals (Student's
t over the seeds). Data: the folder in TORNIO_DATA, else ../shared/data beside the project. It prints, and has no bar.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.texts import embedded, paired, read
from tornio.arrays import FloatMatrix, IntArray
from tornio.models.head import LinearHead, softmax
from tornio.query import COLD_STARTS, STRATEGIES, Candidates, Labelled
from tornio.seeds import derive_seed
from tornio.training.committee import fit_committee
from tornio.training.fewshot import fit_few_shot

FOLDER = Path(tempfile.gettempdir()) / "tornio-query-quality"
"""Where embeddings and curves are kept, so that another run goes on."""
COLD_SIZES = (32, 64, 128)
DROPOUT = 0.1
NOT_HERE = {"label-cardinality-inconsistency", "adaptive", "category-vector-inconsistency", "most-confident"}
"""Strategies for several labels, and one that is only part of others."""


@dataclass(frozen=True)
class Pool:
    """Texts to ask and texts that judge, embedded. ``truth``, ``answers``: int64, the label's number of each."""

    vectors: FloatMatrix
    truth: IntArray
    judging: FloatMatrix
    answers: IntArray
    names: tuple[str, ...]

    def fit(self, rows: Sequence[int], seed: int) -> LinearHead | None:
        """Return the head of these rows of the pool; None where they have one label alone."""
        labels = [(self.names[self.truth[row]],) for row in rows]
        if len(set(labels)) < 2:
            return None
        return fit_few_shot(self.vectors[rows], labels, self.names, False, seed)

    def accuracy(self, head: LinearHead | None) -> float:
        if head is None:
            return float((self.answers == np.bincount(self.answers).argmax()).mean())
        return float((head.logits(self.judging).argmax(axis=1) == self.answers).mean())


@dataclass(frozen=True)
class Asked:
    """The ``Source`` of a pool of which some rows are labelled."""

    pool: Pool
    rows: Sequence[int]
    head: LinearHead | None
    linear: bool = True

    @property
    def has_model(self) -> bool:
        return self.head is not None

    def texts(self, rows: IntArray) -> list[str]:
        raise NotImplementedError("no strategy here reads texts")

    def probabilities(self, rows: IntArray) -> FloatMatrix:
        assert self.head is not None
        return self.head.probabilities(self.head.logits(self.pool.vectors[rows]))

    def embeddings(self, rows: IntArray) -> FloatMatrix:
        return self.pool.vectors[rows]

    def samples(self, rows: IntArray, passes: int, seed: int) -> NDArray[np.float32]:
        assert self.head is not None
        random, vectors = np.random.default_rng(seed), self.pool.vectors[rows] / np.float32(1 - DROPOUT)
        kept = (random.random(vectors.shape, dtype=np.float32) >= DROPOUT for _ in range(passes))
        return np.stack([softmax(self.head.logits(vectors * some)) for some in kept])

    def committee(self, rows: IntArray, members: int, seed: int) -> NDArray[np.float32]:
        labels = [(self.pool.names[self.pool.truth[row]],) for row in self.rows]
        heads = fit_committee(self.pool.vectors[list(self.rows)], labels, self.pool.names, False, members, seed)
        return np.stack([head.probabilities(head.logits(self.pool.vectors[rows])) for head in heads])

    def labelled(self) -> Labelled:
        rows = np.asarray(self.rows, dtype=np.int64)
        labels = np.eye(len(self.pool.names), dtype=np.int64)[self.pool.truth[rows]]
        return Labelled(self.pool.vectors[rows], labels, self.probabilities(rows) if self.head else None)


def pool_of(data: str, size: int, judging: int, seed: int, cache: Path) -> Pool:
    """Return a pool that the seed draws of the training texts, and the same judging texts for all seeds."""
    train, test = read(data, "train").without("oos"), read(data, "test").without("oos").drawn(judging, 0)
    names = train.names
    train = train.drawn(4 * size, 0)  # what is embedded and kept: the seeds draw from it
    vectors, other = (
        _cached(cache / f"{data}-{part}-{len(texts)}.npy", texts.texts)
        for part, texts in (("train", train), ("test", test))
    )
    number = {name: place for place, name in enumerate(names)}
    truth, answers = (np.array([number[label] for (label,) in texts.labels]) for texts in (train, test))
    rows = np.random.default_rng([seed, 7]).permutation(len(train))[:size]
    return Pool(vectors[rows], truth[rows], other, answers, names)


def _cached(file: Path, texts: list[str]) -> FloatMatrix:
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        np.save(file, embedded(texts))
    found: FloatMatrix = np.load(file, mmap_mode="r")
    return found


def ask(pool: Pool, name: str, rows: Sequence[int], head: LinearHead | None, n: int, seed: int) -> list[int]:
    """Return the next rows that a strategy picks."""
    strategy = (COLD_STARTS if head is None else STRATEGIES).get(name)
    left = np.setdiff1d(np.arange(len(pool.vectors)), np.asarray(rows, dtype=np.int64))
    candidates = Candidates(Asked(pool, rows, head), left, pool.names, False, strategy.settings())
    return [int(left[position]) for position in strategy.select(candidates, n, seed).rows]


def curve(pool: Pool, name: str, batch: int, labels: int, seed: int) -> list[float]:
    """Return the accuracy after each batch, the first of which is random and the same for all strategies."""
    rows = [int(row) for row in np.random.default_rng([seed, 9]).permutation(len(pool.vectors))[:batch]]
    found = []
    while True:
        head = pool.fit(rows, seed)
        found.append(pool.accuracy(head))
        if len(rows) >= labels:
            return found
        rows += ask(pool, name if head is not None else "random", rows, head, batch, derive_seed(seed, len(rows)))


def cold_curve(pool: Pool, name: str, seed: int) -> list[float]:
    """Return the accuracy with 32, 64 and 128 texts that a cold start picks at once."""
    return [
        pool.accuracy(pool.fit(ask(pool, name, [], None, size, derive_seed(seed, size)), seed)) for size in COLD_SIZES
    ]


def show(file: Path, data: str, cold: bool) -> None:
    """Print the table of the curves in the file."""
    curves: dict[str, dict[int, list[float]]] = {}
    for line in file.read_text().splitlines():
        row = json.loads(line)
        if (row["data"], row["cold"]) == (data, cold):
            curves.setdefault(row["strategy"], {})[row["seed"]] = row["accuracy"]
    base = curves.get("random", {})
    for name, by_seed in curves.items():
        seeds = sorted(by_seed.keys() & base.keys())
        if not seeds:
            continue
        ours, others = (np.array([some[seed] for seed in seeds]) for some in (by_seed, base))
        columns = [ours[:, at] for at in range(3)] if cold else [ours[:, 1:].mean(axis=1), ours[:, -1]]
        against = [others[:, at] for at in range(3)] if cold else [others[:, 1:].mean(axis=1), others[:, -1]]
        cells = []
        for mine, theirs in zip(columns, against, strict=True):
            mean, half = paired(mine.tolist(), theirs.tolist())
            cells.append(f"{mine.mean():.3f} ({mean:+.3f} +- {half:.3f})")
        print(f"{data:9s} {name:26s} {len(seeds)} seeds  " + "  ".join(cells), flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="trec", help="data set (default: %(default)s)")
    parser.add_argument("--batch", type=int, default=20, help="texts of a batch (default: %(default)s)")
    parser.add_argument("--labels", type=int, default=200, help="labels at the end (default: %(default)s)")
    parser.add_argument("--pool", type=int, default=5000, help="most texts of the pool (default: %(default)s)")
    parser.add_argument("--test", type=int, default=2000, help="most texts that judge (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=5, help="number of seeds (default: %(default)s)")
    parser.add_argument("--first", type=int, default=0, help="the first seed (default: %(default)s)")
    parser.add_argument("--strategies", help="default: all of tasks with one label")
    parser.add_argument("--cold", action="store_true", help="cold starts instead")
    parser.add_argument("--cache", type=Path, default=FOLDER, help="folder of embeddings")
    parser.add_argument("--out", type=Path, default=FOLDER / "curves.jsonl")
    parser.add_argument("--show", action="store_true", help="print the table of the file alone")
    options = parser.parse_args(arguments)
    names = [*COLD_STARTS.names] if options.cold else [n for n in STRATEGIES.names if n not in NOT_HERE]
    if not options.show:
        _run(options, options.strategies.split(",") if options.strategies else names)
    show(options.out, options.data, options.cold)
    return 0


def _run(options: Any, names: Sequence[str]) -> None:
    options.out.parent.mkdir(parents=True, exist_ok=True)
    have = set()
    if options.out.exists():
        rows = [json.loads(line) for line in options.out.read_text().splitlines()]
        have = {(row["data"], row["cold"], row["seed"], row["strategy"]) for row in rows}
    for seed in range(options.first, options.first + options.seeds):
        pool = pool_of(options.data, options.pool, options.test, seed, options.cache)
        for name in names:
            if (options.data, options.cold, seed, name) in have:
                continue
            began = time.monotonic()
            found = (
                cold_curve(pool, name, seed) if options.cold else curve(pool, name, options.batch, options.labels, seed)
            )
            row = {"data": options.data, "cold": options.cold, "seed": seed, "strategy": name, "accuracy": found}
            with options.out.open("a") as out:
                out.write(json.dumps(row) + "\n")
            print(f"seed {seed}  {name:26s} {found[-1]:.3f}  {time.monotonic() - began:.1f} s", flush=True)


if __name__ == "__main__":
    sys.exit(main())
