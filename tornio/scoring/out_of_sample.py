"""Out-of-sample probabilities of every row of a labelled set, from frozen embeddings and the texts.

There are two steps, so that workers can share the work. ``OutOfSampleScorer.fit`` learns from a sample of the rows,
once. Its result is small, and ``score`` then scores any part of the data.

    keys = text_keys(texts)
    folds = deal(keys, given, count, seed)                         # of all texts
    rows = sample(keys, given, MOST_ROWS, seed)                    # only these must be embedded before the fit
    scorer = OutOfSampleScorer.fit(vectors[rows], [texts[i] for i in rows], given[rows], folds, label_names, ...)
    scorer.save(folder)
    OutOfSampleScorer.load(folder).score(vectors[part], texts[part])
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from tornio.arrays import BoolMatrix, BoolVector, FloatMatrix
from tornio.errors import IntegrityError, InvalidInput
from tornio.scoring.folds import Folds, FoldVector, Keys, sample, text_keys
from tornio.scoring.linear import Heads, fit_heads
from tornio.scoring.neighbours import Neighbours, find_neighbours
from tornio.scoring.opinions import Weights, fit_weights, pooled
from tornio.scoring.ranking import EMBEDDING, EXPERTS, NEIGHBOURS, WORDS
from tornio.scoring.words import Words, find_words

MOST_ROWS = 20_000
"""Rows that heads and weights are trained on. From more rows a seeded sample is taken: a linear head gains little from
the rest, and the fit takes minutes at most."""
MOST_REFERENCES = 10_000
"""Rows that neighbours are searched in. Each costs one product of two vectors per row that is scored."""
FORMAT = 1

ARRAYS_FILE = "scorer.safetensors"
CONFIG_FILE = "scorer.json"


@dataclass(frozen=True)
class OutOfSampleScorer:
    """The fitted experts and their weights. An expert is None if it was not asked for or had nothing to learn from."""

    labels: tuple[str, ...]
    multi_label: bool
    folds: Folds
    scale: float
    """Root mean square of the lengths of the embeddings, by which they are divided before a head sees them."""
    embedding: Heads | None
    words: tuple[Words, Heads] | None
    neighbours: Neighbours | None
    weights: Weights
    """float64, one per expert that is not None."""
    seen: BoolMatrix
    """bool [folds, labels]: whether a training row of the other folds has the label."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """``examples``: number of training rows; ``c_embedding``, ``c_words``; ``weight_{expert}``."""

    @classmethod
    def fit(
        cls,
        vectors: FloatMatrix,
        texts: Sequence[str],
        given: BoolMatrix,
        folds: Folds,
        label_names: Sequence[str],
        *,
        multi_label: bool,
        seed: int,
        experts: Sequence[str] = EXPERTS,
        most_rows: int = MOST_ROWS,
    ) -> OutOfSampleScorer:
        """Train for each fold on the rows of the others. Single-threaded; the order of the rows does not matter.

        ``vectors``: float32 [n, dim] of these texts; ``given``: bool [n, labels] (``given_matrix``); ``folds``: of
        at least these texts. At most ``most_rows`` of the rows are used. ``experts``: those of the ranking
        (``ranking.RANKINGS``). Everything that is learned from labels is strictly out of sample, except C and the
        weights of the experts, which are a few numbers from all rows.

        Raises InvalidInput for vectors that are not finite, no rows, or an expert that does not exist.
        """
        keys = text_keys(texts)
        rows = _ordered(sample(keys, given, most_rows, seed), keys, given)
        fold, given, X = folds.of(keys[rows]), given[rows], np.asarray(vectors[rows], dtype=np.float32)
        used = [texts[row] for row in rows]
        _check(X, fold, folds, experts)
        scale = float(np.sqrt((X.astype(np.float64) ** 2).sum(axis=1).mean())) or 1.0
        metrics: dict[str, float] = {"examples": float(len(rows))}
        embedding = words = neighbours = None
        with threadpool_limits(1):
            if EMBEDDING in experts:
                embedding, metrics["c_embedding"] = fit_heads(X / np.float32(scale), given, fold, multi_label)
            if WORDS in experts and len(vocabulary := find_words(used)):
                heads, metrics["c_words"] = fit_heads(vocabulary.matrix(used), given, fold, multi_label)
                words = vocabulary, heads
            if NEIGHBOURS in experts:
                near = sample(keys[rows], given, MOST_REFERENCES, seed)
                neighbours = find_neighbours(X[near], given[near], fold[near])
        seen = np.stack([given[fold != k].any(axis=0) for k in range(folds.count)])
        alone = cls(tuple(label_names), multi_label, folds, scale, embedding, words, neighbours, np.ones(1), seen)
        opinions = alone.opinions(X, used, fold)
        weights = fit_weights(list(opinions.values()), given, multi_label) if len(opinions) > 1 else np.ones(1)
        metrics |= {f"weight_{name}": float(w) for name, w in zip(opinions, weights, strict=True)}
        return replace(alone, weights=weights, metrics=metrics)

    def score(self, vectors: FloatMatrix, texts: Sequence[str]) -> FloatMatrix:
        """Return float32 [n, labels]: the probabilities of texts that have a fold, by experts that have not seen them.

        ``vectors``: float32 [n, dim]. The same rows give the same bits. Scored together with other rows, the numbers of
        a row may differ by 1e-6, because BLAS sums matrices of other shapes in another order. Raises InvalidInput for a
        text without a fold.
        """
        opinions = self.opinions(vectors, texts, self.folds.of(text_keys(texts)))
        if len(opinions) == 1:
            return next(iter(opinions.values()))
        return pooled(list(opinions.values()), self.weights, self.multi_label)

    def unjudged(self, texts: Sequence[str], given: BoolMatrix) -> BoolVector:
        """Return bool [n]: whether a row has a given label, bool [n, labels], that its experts have never seen.

        They find every such label improbable, so that its loss says nothing. All texts with the label are then in one
        fold: there is one such text only, or copies of it.
        """
        return np.asarray((given & ~self.seen[self.folds.of(text_keys(texts))]).any(axis=1))

    def opinions(self, vectors: FloatMatrix, texts: Sequence[str], fold: FoldVector) -> dict[str, FloatMatrix]:
        """Return the probabilities of each expert alone, float32 [n, labels]."""
        opinions: dict[str, FloatMatrix] = {}
        with threadpool_limits(1):
            if self.embedding is not None:
                opinions[EMBEDDING] = self.embedding.probabilities(vectors / np.float32(self.scale), fold)
            if self.words is not None:
                words, heads = self.words
                opinions[WORDS] = heads.probabilities(words.matrix(texts), fold)
            if self.neighbours is not None:
                opinions[NEIGHBOURS] = self.neighbours.probabilities(vectors, fold)
        return opinions

    def save(self, folder: Path) -> None:
        """Write ``scorer.safetensors`` and ``scorer.json``: about ten megabytes, and nine bytes per text."""
        arrays: dict[str, NDArray[Any]] = {
            "folds.keys": self.folds.keys,
            "folds.fold": self.folds.fold,
            "weights": self.weights,
            "seen": self.seen,
        }
        if self.embedding is not None:
            arrays |= _arrays("embedding", self.embedding, _HEADS)
        if self.words is not None:
            arrays |= _arrays("words", self.words[0], _WORDS) | _arrays("words", self.words[1], _HEADS)
        if self.neighbours is not None:
            arrays |= _arrays("neighbours", self.neighbours, _NEIGHBOURS)
        save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, folder / ARRAYS_FILE)
        config = {
            "format": FORMAT,
            "labels": list(self.labels),
            "multi_label": self.multi_label,
            "folds": self.folds.count,
            "scale": self.scale,
            "metrics": dict(self.metrics),
        }
        (folder / CONFIG_FILE).write_text(json.dumps(config, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> OutOfSampleScorer:
        """Read the files of ``save``. Raises IntegrityError for files that are missing, broken or of another format."""
        try:
            config = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
            if config["format"] != FORMAT:
                raise IntegrityError(f"{folder} has format {config['format']}, not {FORMAT}. Start a new run")
            arrays, multi_label = load_file(folder / ARRAYS_FILE), bool(config["multi_label"])

            def read(name: str, fields: Sequence[str]) -> list[NDArray[Any]] | None:
                return [arrays[f"{name}.{field}"] for field in fields] if f"{name}.{fields[0]}" in arrays else None

            dense, words = read("embedding", _HEADS), read("words", (*_WORDS, *_HEADS))
            near = read("neighbours", _NEIGHBOURS)
            return cls(
                labels=tuple(config["labels"]),
                multi_label=multi_label,
                folds=Folds(arrays["folds.keys"], arrays["folds.fold"], int(config["folds"])),
                scale=float(config["scale"]),
                embedding=None if dense is None else Heads(dense[0], dense[1], multi_label),
                words=None if words is None else (Words(words[0], words[1]), Heads(words[2], words[3], multi_label)),
                neighbours=None if near is None else Neighbours(*near),
                weights=arrays["weights"],
                seen=arrays.get("seen", np.ones((int(config["folds"]), len(config["labels"])), dtype=bool)),
                metrics=config["metrics"],
            )
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            raise IntegrityError(
                f"the scorer in {folder} cannot be read ({type(error).__name__}: {error}). Start a new run"
            ) from error


_HEADS, _WORDS, _NEIGHBOURS = ("weight", "bias"), ("slots", "idf"), ("vectors", "centre", "given", "fold")


def _arrays(name: str, part: object, fields: Sequence[str]) -> dict[str, NDArray[Any]]:
    return {f"{name}.{field}": getattr(part, field) for field in fields}


def _ordered(rows: NDArray[np.int64], keys: Keys, given: BoolMatrix) -> NDArray[np.int64]:
    """Sort rows in an order that does not depend on the order of the input."""
    return rows[np.lexsort((*given[rows].T, keys[rows]))]


def _check(vectors: FloatMatrix, fold: FoldVector, folds: Folds, experts: Sequence[str]) -> None:
    unknown = set(experts) - set(EXPERTS)
    if unknown or not experts:
        raise InvalidInput(f"no experts {sorted(unknown)} exist. Choose from {', '.join(EXPERTS)}")
    if not np.isfinite(vectors).all():
        raise InvalidInput("the embeddings are not all finite. The encoder is broken: choose another")
    empty = folds.count - len(np.unique(fold))
    if empty:
        raise InvalidInput(f"{empty} of {folds.count} folds have none of the {len(vectors)} rows. Use fewer folds")
