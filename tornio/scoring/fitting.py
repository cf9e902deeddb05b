"""Fit the out-of-sample scorer of a run, once, from the embeddings of all parts. Every worker then loads it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from tornio.arrays import BoolMatrix, FloatMatrix
from tornio.schemas.scoring import ScoreArgs, ScoreInput
from tornio.scoring.folds import Keys, deal, sample, text_keys
from tornio.scoring.measures import label_matrix
from tornio.scoring.out_of_sample import ARRAYS_FILE, CONFIG_FILE, MOST_ROWS, OutOfSampleScorer
from tornio.scoring.parts import Parts
from tornio.scoring.ranking import RANKINGS

Report = Callable[[str, int, int | None, str], None]
"""Called with a stage in words, how much of it is done, how much there is in all, and the unit."""
_FILES = (ARRAYS_FILE, CONFIG_FILE)


def fit_scorer(args: ScoreArgs, staged: ScoreInput, parts: Parts, report: Report) -> None:
    """Fit the scorer and store it beside the parts, unless an earlier attempt has."""
    if all(parts.store.head(_key(parts, name)) is not None for name in _FILES):
        return
    report("fitting", 0, 1, "scorer")
    read = [_keys_and_labels(args, parts, number) for number in range(len(staged.parts))]
    keys, given = np.concatenate([keys for keys, _ in read]), np.concatenate([given for _, given in read])
    rows = sample(keys, given, MOST_ROWS, args.seed)
    texts, vectors = _texts_and_vectors(rows, staged, parts)
    scorer = OutOfSampleScorer.fit(
        vectors,
        texts,
        given[rows],
        deal(keys, given, args.folds, args.seed),
        args.labels,
        multi_label=args.multi_label,
        seed=args.seed,
        experts=RANKINGS[args.ranking].experts,
    )
    with TemporaryDirectory() as folder:
        scorer.save(Path(folder))
        for name in _FILES:
            parts.write_once(_key(parts, name), (Path(folder) / name).read_bytes())
    report("fitting", 1, 1, "scorer")


def load_scorer(parts: Parts) -> OutOfSampleScorer:
    """Return the scorer that ``fit_scorer`` has stored. Raises NotFound, IntegrityError."""
    with TemporaryDirectory() as folder:
        for name in _FILES:
            parts.store.download(_key(parts, name), Path(folder) / name)
        return OutOfSampleScorer.load(Path(folder))


def _key(parts: Parts, name: str) -> str:
    return parts.keys.folder("scorer") + name


def _keys_and_labels(args: ScoreArgs, parts: Parts, number: int) -> tuple[Keys, BoolMatrix]:
    """The keys of the texts of a part, and its given labels, bool [rows, labels]."""
    table = parts.input(number)
    return text_keys(table.column("text").to_pylist()), label_matrix(table.column("given"), args.labels)


def _texts_and_vectors(rows: NDArray[np.int64], staged: ScoreInput, parts: Parts) -> tuple[list[str], FloatMatrix]:
    """The texts of these rows of the input (ascending), and their vectors, float32 [rows, dim].

    Besides these it holds one part at a time.
    """
    starts = np.cumsum([0, *(part.rows for part in staged.parts)])
    texts: list[str] = []
    vectors = []
    for number in range(len(staged.parts)):
        inside = rows[(rows >= starts[number]) & (rows < starts[number + 1])] - starts[number]
        if len(inside):
            texts += parts.input(number).column("text").take(inside).to_pylist()
            vectors.append(parts.embeddings(number)[0][inside])
    return texts, np.concatenate(vectors)
