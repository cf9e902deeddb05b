"""Finding wrong labels: 10 % of the labels are flipped to another class; average precision of ranking these rows first.

    python -m bench.label_errors [--cache FOLDER] [--seeds 0 1 2]

AG News (8,000 rows of the train part), TREC, SST-2 sentences; frozen MiniLM as few-shot versions use it; five folds.
Data: the folder in TORNIO_DATA, else ../shared/data beside the project. Baseline: cleanlab's default score on 5-fold
scikit-learn LogisticRegression with its defaults, over the same embeddings; word features are only added where the
table says so. Rankings were chosen on flips with seed 100, which is not among those reported.
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
import torch
from cleanlab.rank import get_label_quality_scores
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from bench.texts import base, embedded
from tornio.arrays import FloatMatrix
from tornio.scoring.folds import deal, text_keys
from tornio.scoring.linear import in_sample
from tornio.scoring.opinions import fit_weights, pooled
from tornio.scoring.out_of_sample import OutOfSampleScorer
from tornio.scoring.ranking import EMBEDDING, NEIGHBOURS, RANKINGS, WORDS, default_ranking, suspicion

BAR, TARGET = 0.01, 0.03
FOLDS, FLIPPED = 5, 0.1
SETS = {"ag_news": 8000, "trec": None, "sst2_sent": None}
"""Folder of the train part, and the number of rows used."""
BASELINE, INSIDE = "cleanlab on 5-fold LogisticRegression", "in-sample loss, LogisticRegression"

IntVector = NDArray[np.int64]
Precisions = dict[str, float]


@dataclass(frozen=True)
class Data:
    """Texts with their true labels, int64 [n], and embeddings, float32 [n, 384]."""

    texts: list[str]
    labels: IntVector
    classes: int
    vectors: FloatMatrix


def load(name: str, cache: Path) -> Data:
    root = Path(os.environ.get("TORNIO_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    table, most = pq.read_table(root / name / "train.parquet"), SETS[name]
    if most is not None:
        table = table.take(np.sort(np.random.default_rng(0).permutation(len(table))[:most]))
    texts = table["text"].to_pylist()
    names, labels = np.unique(table["label"].to_pylist(), return_inverse=True)
    return Data(texts, labels.astype(np.int64), len(names), _embedded(texts, cache / f"{name}.safetensors"))


def _embedded(texts: list[str], path: Path) -> FloatMatrix:
    if not path.exists():
        save_file({"vectors": embedded(texts, (base().layer,))}, path)
    return load_file(path)["vectors"]


def flip(data: Data, seed: int) -> tuple[IntVector, NDArray[np.bool_]]:
    """Return the labels with a tenth of them moved to another class, and which rows were moved."""
    random = np.random.default_rng(seed)
    wrong = np.zeros(len(data.labels), dtype=bool)
    wrong[random.permutation(len(wrong))[: round(FLIPPED * len(wrong))]] = True
    moved = (data.labels + random.integers(1, data.classes, len(wrong))) % data.classes
    return np.where(wrong, moved, data.labels), wrong


def baselines(data: Data, given: IntVector, seed: int) -> dict[str, FloatMatrix]:
    """Return each row's suspicion by scikit-learn's defaults: cleanlab's rankings out of sample, and in-sample loss."""
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    outside = cross_val_predict(LogisticRegression(), data.vectors, given, cv=folds, method="predict_proba")
    inside = LogisticRegression().fit(data.vectors, given).predict_proba(data.vectors)
    labels = np.eye(data.classes, dtype=bool)[given]
    # p / sum: cleanlab requires row sums closer to one than float32 gives
    outside, inside = (p.astype(np.float64) / p.sum(axis=1, keepdims=True) for p in (outside, inside))
    return {
        BASELINE: -get_label_quality_scores(given, outside),
        "  the same, normalized margin": -get_label_quality_scores(given, outside, method="normalized_margin"),
        "  the same, adjusted self-confidence": -get_label_quality_scores(given, outside, adjust_pred_probs=True),
        "  the same, find_label_issues first": suspicion("confident-learning", outside, labels, False),
        INSIDE: suspicion("loss", inside, labels, False),
    }


def ours(data: Data, given: IntVector, seed: int) -> dict[str, FloatMatrix]:
    """Return each row's suspicion by every ranking, and by parts of what the default ranking pools."""
    labels = np.eye(data.classes, dtype=bool)[given]
    keys = text_keys(data.texts)
    folds = deal(keys, labels, FOLDS, seed)
    names = [str(number) for number in range(data.classes)]
    scorer = OutOfSampleScorer.fit(data.vectors, data.texts, labels, folds, names, multi_label=False, seed=seed)
    experts = scorer.opinions(data.vectors, data.texts, folds.of(keys))
    inside = in_sample(data.vectors, labels, False, scorer.metrics["c_embedding"])
    suspicions = {"in-sample loss, our head": suspicion("loss", inside, labels, False)}
    for name, ranking in RANKINGS.items():
        p = scorer.score(data.vectors, data.texts) if len(ranking.experts) > 1 else experts[EMBEDDING]
        suspicions[name] = suspicion(name, p, labels, False)
    for some in ((NEIGHBOURS,), (WORDS,), (EMBEDDING, NEIGHBOURS), (EMBEDDING, WORDS)):
        p = _pool([experts[name] for name in some], labels)
        suspicions[f"  loss of {' + '.join(some)}"] = suspicion("loss", p, labels, False)
    return suspicions


def _pool(experts: Sequence[FloatMatrix], labels: NDArray[np.bool_]) -> FloatMatrix:
    return experts[0] if len(experts) == 1 else pooled(experts, fit_weights(experts, labels, False), False)


def measured(data: Data, seed: int) -> Precisions:
    given, wrong = flip(data, seed)
    with threadpool_limits(1):
        rankings = baselines(data, given, seed) | ours(data, given, seed)
    return {name: float(average_precision_score(wrong, suspicious)) for name, suspicious in rankings.items()}


def report(results: Mapping[str, Sequence[Precisions]]) -> dict[str, float]:
    """Print the table. Returns the mean over the sets of each row."""
    names = list(next(iter(results.values()))[0])
    means = {name: {s: float(np.mean([run[name] for run in runs])) for s, runs in results.items()} for name in names}
    overall = {name: float(np.mean(list(row.values()))) for name, row in means.items()}
    print(f"{'average precision':40s}" + "".join(f"{s:>11s}" for s in results) + f"{'mean':>11s}{'against':>11s}")
    for name, row in means.items():
        against = f"{overall[name] - overall[BASELINE]:+11.4f}"
        print(f"{name:40s}" + "".join(f"{value:11.4f}" for value in row.values()) + f"{overall[name]:11.4f}{against}")
    return overall


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, help="folder that caches the embeddings")
    parser.add_argument(
        "--seeds", type=int, nargs="+", default=[0, 1, 2], help="seeds of flips and folds (default: 0 1 2)"
    )
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        cache = options.cache or Path(temporary)
        cache.mkdir(parents=True, exist_ok=True)
        results: dict[str, list[Precisions]] = {}
        for name in SETS:
            data, start = load(name, cache), time.perf_counter()
            results[name] = [measured(data, seed) for seed in options.seeds]
            print(f"{name}: {len(data.texts)} rows, {time.perf_counter() - start:.0f} s for {len(options.seeds)} seeds")
    overall = report(results)
    best = default_ranking(cross_validated=True)
    gain = overall[best] - overall[BASELINE]
    reached = gain >= BAR and overall[best] > overall[INSIDE]
    print(
        f"{best}: {gain:+.4f} against cleanlab (bar {BAR:+.2f}, target {TARGET:+.2f}), "
        f"{overall[best] - overall[INSIDE]:+.4f} against in-sample loss: {'reached' if reached else 'MISSED'}"
    )
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
