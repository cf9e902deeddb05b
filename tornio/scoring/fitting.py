"""Out-of-sample scoring: what is learned once from the embeddings of all parts, then used by every worker."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from tornio.arrays import BoolMatrix, FloatMatrix
from tornio.schemas.jobs import ScoreArgs, ScoreInput
from tornio.scoring.folds import Keys, deal, sample, text_keys
from tornio.scoring.measures import label_matrix
from tornio.scoring.out_of_sample import MOST_ROWS, OutOfSampleScorer
from tornio.scoring.parts import Parts
from tornio.scoring.ranking import RANKINGS
from tornio.scoring.scorers import SCORER_FILES, scorer_key

Report = Callable[[str, int, int | None, str], None]
"""Called with a stage in words, how much of it is done, how much there is in all, and what is counted."""


def fit_heads(args: ScoreArgs, staged: ScoreInput, parts: Parts, report: Report) -> None:
    """Fit what scores each row without having seen it, unless an earlier attempt did; it is put beside the parts."""
    if all(parts.store.head(scorer_key(parts, name)) is not None for name in SCORER_FILES):
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
        for name in SCORER_FILES:
            parts.write_once(scorer_key(parts, name), (Path(folder) / name).read_bytes())
    report("fitting", 1, 1, "scorer")


def _keys_and_labels(args: ScoreArgs, parts: Parts, number: int) -> tuple[Keys, BoolMatrix]:
    """Of a part's rows: what their texts are known by, and bool [rows, labels]."""
    table = parts.input(number)
    return text_keys(table.column("text").to_pylist()), label_matrix(table.column("given"), args.labels)


def _texts_and_vectors(rows: NDArray[np.int64], staged: ScoreInput, parts: Parts) -> tuple[list[str], FloatMatrix]:
    """Of these rows of the input, ascending; vectors float32 [rows, dim]. Holds one part at a time besides."""
    starts = np.cumsum([0, *(part.rows for part in staged.parts)])
    texts: list[str] = []
    vectors = []
    for number in range(len(staged.parts)):
        mine = rows[(rows >= starts[number]) & (rows < starts[number + 1])] - starts[number]
        if len(mine):
            texts += parts.input(number).column("text").take(mine).to_pylist()
            vectors.append(parts.embeddings(number)[0][mine])
    return texts, np.concatenate(vectors)
