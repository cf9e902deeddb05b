"""TREC with 260 labels, hold-out included, on frozen MiniLM: test accuracy over five seeds, beside small-text's.

    python bench/few_shot_trec.py [--strategy breaking-ties]

Batches of 20 (a cold start, then 12 from the strategy), of which 2 are hold-out, so 234 labels train. Data: the folder
in TORNIO_DATA, else ../shared/data beside the project. Baseline: small-text's query strategy and scikit-learn's
logistic regression with its defaults, on the same embeddings and with as many training labels.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import small_text
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from tornio.models.encoder import Encoder
from tornio.models.head import LinearHead
from tornio.models.port import FloatMatrix
from tornio.models.sources import MINILM, resolve_encoder
from tornio.query import cold_start, is_reserved, pick_batch, uncertainty
from tornio.records import Purpose, text_digest
from tornio.seeds import derive_seed
from tornio.training.fewshot import fit_few_shot

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
    """Test accuracy after each batch, and the longest turn (retrain and query) in seconds."""

    curve: list[float]
    slowest_turn: float


def load_trec() -> tuple[Split, Split]:
    """Training and test split, embedded."""
    root = Path(os.environ.get("TORNIO_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    source = resolve_encoder(MINILM)
    encoder = Encoder(source.folder, pooling=source.pooling, normalise=source.normalise, max_length=source.max_length)

    def read(name: str) -> Split:
        table = pq.read_table(root / "trec" / f"{name}.parquet")
        texts = table["text"].to_pylist()
        return Split(texts, table["label"].to_pylist(), encoder.embed(texts).vectors)

    return read("train"), read("test")


def ours(train: Split, test: Split, strategy: str, seed: int) -> Result:
    """The loop's own pieces, in the loop's order."""
    names = sorted(set(train.labels))
    reserved = [is_reserved(f"bench-{seed}", text_digest(text), HOLDOUT_SHARE) for text in train.texts]
    candidates = [row for row, held in enumerate(reserved) if not held]
    reserve = [row for row, held in enumerate(reserved) if held]
    wanted = [candidates[i] for i in cold_start("random", len(candidates), BATCH, seed)]
    trained: list[int] = []
    curve, slowest = [], 0.0
    for number in range(1, LABELS // BATCH + 1):
        batch = pick_batch(wanted, reserve, BATCH, HOLDOUT_SHARE, derive_seed(seed, number))
        trained += [picked.row for picked in batch if picked.purpose is Purpose.QUERY]
        reserve = [row for row in reserve if row not in {picked.row for picked in batch}]
        start = time.perf_counter()
        rows = sorted(trained)
        head = fit_few_shot(train.vectors[rows], [(train.labels[r],) for r in rows], names, False, seed)
        left = np.setdiff1d(candidates, trained)
        probabilities = head.probabilities(head.logits(train.vectors[left]))
        wanted = left[uncertainty(strategy, probabilities, False, derive_seed(seed, number)).order].tolist()
        slowest = max(slowest, time.perf_counter() - start)
        curve.append(_accuracy(head, test))
    return Result(curve, slowest)


def _accuracy(head: LinearHead, test: Split) -> float:
    answers = head.logits(test.vectors).argmax(axis=1)
    return float(np.mean([head.labels[a] == label for a, label in zip(answers, test.labels, strict=True)]))


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
    """The same number of training labels, with small-text's strategies and scikit-learn's defaults."""
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
        found = query.query(classifier, train.vectors, left, labelled, y[labelled], n=per_batch)
        slowest = max(slowest, time.perf_counter() - start)
        curve.append(float((classifier.predict(test.vectors) == truth).mean()))
        labelled = np.concatenate([labelled, found])
    return Result(curve, slowest)


def report(name: str, results: Sequence[Result]) -> float:
    """Print one line a seed and the mean, which is returned."""
    for seed, result in enumerate(results):
        points = "  ".join(f"{value:.3f}" for value in result.curve[::3])
        print(f"{name:10s} seed {seed}: {points}  final {result.curve[-1]:.3f}  turn <= {result.slowest_turn:.2f} s")
    final = [result.curve[-1] for result in results]
    print(f"{name:10s} mean {np.mean(final):.3f}  sd {np.std(final):.3f}")
    return float(np.mean(final))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--strategy", default="breaking-ties", help="query strategy (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="how many (default: %(default)s)")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    train, test = load_trec()
    seeds = range(options.seeds)
    mean = report("tornio", [ours(train, test, options.strategy, seed) for seed in seeds])
    baseline = report("small-text", [small_texts(train, test, options.strategy, seed) for seed in seeds])
    print(f"ratio {mean / baseline:.3f}; bar {BAR}: {'reached' if mean >= BAR else 'MISSED'}")
    return 0 if mean >= BAR else 1


if __name__ == "__main__":
    sys.exit(main())
