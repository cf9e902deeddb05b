"""Out-of-sample scoring: heads fitted once on the embeddings of all parts, then used by every worker."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from jobs.context import RunContext
from jobs.scoring.work import Found, Parts
from tornio.models.head import LinearHead
from tornio.models.port import FloatMatrix
from tornio.schemas.jobs import ScoreArgs, ScoreInput
from tornio.scoring.folds import Folds, Keys, deal, sample, text_keys
from tornio.scoring.measures import given_matrix
from tornio.training.fewshot import fit_few_shot

MOST_ROWS = 50_000
"""Rows that the heads learn from, drawn by seed: more hardly change a linear head, and must be in memory."""


def fit_heads(args: ScoreArgs, staged: ScoreInput, parts: Parts, context: RunContext) -> None:
    """Fit a head for each fold unless an earlier attempt did, and put them beside the parts."""
    key = _key(parts)
    if parts.store.head(key) is not None:
        return
    keys, given = _labels_of_all(staged, parts)
    matrix = given_matrix(given, args.labels, args.multi_label)
    folds = deal(keys, matrix, args.folds, args.seed)
    rows = sample(keys, MOST_ROWS, args.seed)
    vectors, fold = _vectors(rows, staged, parts), folds.of(keys[rows])
    labels = [given[row] for row in rows]
    arrays: dict[str, NDArray[Any]] = {"keys": folds.keys, "fold": folds.fold}
    for number in range(args.folds):
        seen = np.flatnonzero(fold != number)
        head = fit_few_shot(vectors[seen], [labels[i] for i in seen], args.labels, args.multi_label, args.seed)
        arrays |= {f"weight{number}": head.weight, f"bias{number}": head.bias}
        context.progress("fitting heads", number + 1, args.folds, "heads")
    with TemporaryDirectory() as folder:
        path = Path(folder) / "heads"
        save_file(arrays, path)
        parts.write_once(key, path.read_bytes())


class HeadScorer:
    """Heads of which each scores the rows that it did not see; the texts are embedded already."""

    def __init__(self, args: ScoreArgs, parts: Parts) -> None:
        self.name = f"cross-validated:{args.folds}"
        self._parts = parts
        with TemporaryDirectory() as folder:
            parts.store.download(_key(parts), Path(folder) / "heads")
            arrays = load_file(Path(folder) / "heads")
        self._folds = Folds(arrays["keys"], arrays["fold"], args.folds)
        self._heads = [
            LinearHead(args.labels, args.multi_label, arrays[f"weight{n}"], arrays[f"bias{n}"])
            for n in range(args.folds)
        ]

    def score(self, part: int, texts: Sequence[str], given: Sequence[tuple[str, ...]]) -> Found:
        vectors, truncated = self._parts.embeddings(part)
        folds = self._folds.of(text_keys(texts))
        probabilities = np.zeros((len(texts), len(self._heads[0].labels)), np.float32)
        for number, head in enumerate(self._heads):
            mine = folds == number
            probabilities[mine] = head.probabilities(head.logits(vectors[mine]))
        return Found(probabilities, truncated)


def _key(parts: Parts) -> str:
    return parts.keys.folder("heads") + "heads.safetensors"


def _labels_of_all(staged: ScoreInput, parts: Parts) -> tuple[Keys, list[tuple[str, ...]]]:
    """Of every row in the input's order: the key of its text, and its labels."""
    keys: list[Keys] = []
    given: list[tuple[str, ...]] = []
    for number in range(len(staged.parts)):
        table = parts.input(number)
        keys.append(text_keys(table.column("text").to_pylist()))
        given += [tuple(names) for names in table.column("given").to_pylist()]
    return np.concatenate(keys), given


def _vectors(rows: NDArray[np.int64], staged: ScoreInput, parts: Parts) -> FloatMatrix:
    """float32 [rows, dim] of these rows of the input, ascending."""
    starts = np.cumsum([0, *(part.rows for part in staged.parts)])
    found = []
    for number in range(len(staged.parts)):
        mine = rows[(rows >= starts[number]) & (rows < starts[number + 1])] - starts[number]
        if len(mine):
            found.append(parts.embeddings(number)[0][mine])
    return np.concatenate(found)
