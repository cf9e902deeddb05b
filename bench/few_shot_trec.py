"""TREC with 260 labels, including hold-out, on frozen MiniLM: test accuracy over five seeds, compared with small-text.

    python -m bench.few_shot_trec [--strategy breaking-ties]

It runs the loop's own code (controller and jobs) over a store in memory, with simulated annotators: batches of 20 (a
cold start, then 12 from the strategy), of which 2 are hold-out, so 234 labels are used for training. Data: the folder
in TORNIO_DATA, else ../shared/data beside the project. Baseline: small-text's query strategy and scikit-learn's
logistic regression with its defaults, on the same embeddings and with the same number of training labels.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import small_text
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from bench.texts import encoder
from bench.turning import Turning
from tornio.arrays import FloatMatrix
from tornio.models.port import Embedded, Model, TextEncoder
from tornio.records import Record
from tornio.registry import Registry
from tornio.schemas.runs import RunResult
from tornio.spec import TaskSpec
from tornio.storage import documents

BAR = 0.76
LABELS, BATCH, HOLDOUT_SHARE, SEEDS = 260, 20, 0.1, 5


@dataclass(frozen=True)
class Split:
    """Texts with their labels and embeddings, float32 [n, 384]."""

    texts: list[str]
    labels: list[str]
    vectors: FloatMatrix


@dataclass(frozen=True)
class Result:
    """Test accuracy after each batch, and the longest turn (training and query) in seconds."""

    curve: list[float]
    slowest_turn: float
    labels: int


def load_trec() -> tuple[Split, Split]:
    """Return training and test split, embedded."""
    root = Path(os.environ.get("TORNIO_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    minilm = encoder()

    def read(name: str) -> Split:
        table = pq.read_table(root / "trec" / f"{name}.parquet")
        texts = table["text"].to_pylist()
        return Split(texts, table["label"].to_pylist(), minilm.embed(texts).vectors)

    return read("train"), read("test")


class Remembering:
    """A ``TextEncoder`` with precomputed embeddings, so that seeds do not compute them again."""

    def __init__(self, encoder: TextEncoder, vectors: Mapping[str, NDArray[np.float32]]) -> None:
        self._encoder = encoder
        self._vectors = vectors

    @property
    def dimension(self) -> int:
        return self._encoder.dimension

    def embed(self, texts: Sequence[str]) -> Embedded:
        if any(text not in self._vectors for text in texts):
            return self._encoder.embed(texts)
        vectors = np.array([self._vectors[text] for text in texts], dtype=np.float32).reshape(-1, self.dimension)
        return Embedded(vectors, np.zeros(len(texts), dtype=bool))


def ours(train: Split, test: Split, strategy: str, seed: int, cache: Path) -> Result:
    """Run the controller's and the jobs' own code over a store in memory."""
    spec = TaskSpec.model_validate(
        {
            "workspace": "bench",
            "name": "trec",
            "labels": sorted(set(train.labels)),
            "teacher": {"kind": "none"},
            "loop": {
                "strategy": strategy,
                "batch_size": BATCH,
                "holdout_share": HOLDOUT_SHARE,
                "seed": seed,
                "stop": {"criterion": "max-iterations", "max_iterations": LABELS // BATCH},
            },
        }
    )
    ids = [f"r{row:05d}" for row in range(len(train.texts))]
    turning = Turning(spec, dict(zip(ids, train.labels, strict=True)), cache)
    assert turning.context is not None
    loader = turning.context.loader
    vectors = dict(zip(train.texts + test.texts, np.vstack([train.vectors, test.vectors]), strict=True))
    load = loader.encoder
    loader.encoder = lambda use: Remembering(load(use), vectors)  # type: ignore[method-assign,assignment,return-value]
    turning.task.add_records([Record(i, text) for i, text in zip(ids, train.texts, strict=True)])
    turning.turn()
    registry = Registry(turning.store, turning.task.keys)
    versions = [loader.model(registry.manifest(str(i.version))) for i in turning.task.iterations()]
    curve = [_accuracy(model, test) for model in versions]
    return Result(curve, _slowest_turn(turning), len(turning.task.labels.read().events))


def _slowest_turn(turning: Turning) -> float:
    """Return the seconds of the longest training with the query that follows it, from the runs' results."""
    results = [
        documents.load(turning.store, info.key, RunResult)[0]
        for info in turning.store.list(turning.task.keys.root + "runs/")
        if info.key.endswith("/result.json")
    ]
    seconds: dict[str, list[float]] = {"train": [], "query": []}
    for result in sorted(results, key=lambda result: result.started_at):
        if result.job in seconds:
            seconds[result.job].append((result.finished_at - result.started_at).total_seconds())
    return max(t + q for t, q in zip(seconds["train"], seconds["query"][1:], strict=False))


def _accuracy(model: Model, test: Split) -> float:
    answers = model.predict_proba(test.texts).argmax(axis=1)
    return float(np.mean([model.labels[a] == label for a, label in zip(answers, test.labels, strict=True)]))


class _SklearnClassifier:
    """scikit-learn's defaults behind small-text's interface."""

    def __init__(self) -> None:
        self._model = LogisticRegression()

    def fit(self, vectors: FloatMatrix, y: NDArray[np.int64]) -> None:
        self._model.fit(vectors, y)

    def predict_proba(self, vectors: FloatMatrix) -> NDArray[np.float64]:
        return np.asarray(self._model.predict_proba(vectors))

    def predict(self, vectors: FloatMatrix) -> NDArray[np.int64]:
        return np.asarray(self._model.predict(vectors))


def small_texts(train: Split, test: Split, strategy: str, seed: int) -> Result:
    """Run small-text's strategies with scikit-learn's defaults, on the same number of training labels."""
    strategies = {
        "random": small_text.RandomSampling,
        "least-confidence": small_text.LeastConfidence,
        "breaking-ties": small_text.BreakingTies,
        "prediction-entropy": small_text.PredictionEntropy,
    }
    query, per_batch = strategies[strategy](), BATCH - max(2, round(HOLDOUT_SHARE * BATCH))
    names = sorted(set(train.labels))
    y = np.array([names.index(label) for label in train.labels])
    truth = np.array([names.index(label) for label in test.labels])
    np.random.seed(seed)
    labelled = np.random.default_rng(seed).choice(len(y), per_batch, replace=False)
    curve, slowest = [], 0.0
    for _ in range(LABELS // BATCH):
        start = time.perf_counter()
        classifier = _SklearnClassifier()
        classifier.fit(train.vectors[labelled], y[labelled])
        left = np.setdiff1d(np.arange(len(y)), labelled)
        queried = query.query(classifier, train.vectors, left, labelled, y[labelled], n=per_batch)
        slowest = max(slowest, time.perf_counter() - start)
        curve.append(float((classifier.predict(test.vectors) == truth).mean()))
        labelled = np.concatenate([labelled, queried])
    return Result(curve, slowest, LABELS // BATCH * per_batch)


def report(name: str, results: Sequence[Result]) -> float:
    """Print one line per seed, and the mean, which is returned."""
    for seed, result in enumerate(results):
        points = "  ".join(f"{value:.3f}" for value in result.curve[::3])
        final = f"{result.labels} labels  final {result.curve[-1]:.3f}  turn <= {result.slowest_turn:.2f} s"
        print(f"{name:10s} seed {seed}: {points}  {final}")
    last = [result.curve[-1] for result in results]
    print(f"{name:10s} mean {np.mean(last):.3f}  sd {np.std(last):.3f}")
    return float(np.mean(last))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--strategy", default="breaking-ties", help="query strategy (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="number of seeds (default: %(default)s)")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    train, test = load_trec()
    seeds = range(options.seeds)
    with tempfile.TemporaryDirectory() as cache:
        mean = report("tornio", [ours(train, test, options.strategy, seed, Path(cache)) for seed in seeds])
    baseline = report("small-text", [small_texts(train, test, options.strategy, seed) for seed in seeds])
    print(f"ratio {mean / baseline:.3f}; bar {BAR}: {'reached' if mean >= BAR else 'MISSED'}")
    return 0 if mean >= BAR else 1


if __name__ == "__main__":
    sys.exit(main())
