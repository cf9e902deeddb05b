"""The contenders that are always there: what any training method must be better than."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tornio.arrays import BoolMatrix, FloatMatrix, IntArray

NEIGHBOURS = 5
WORD = r"(?u)\b\w+\b"


@dataclass(frozen=True)
class Examples:
    """What a baseline may use. ``targets``: int64 [n, labels] of 0 and 1, of the texts to learn from. ``vectors``:
    returns float32 [texts, dim], the embeddings of both."""

    texts: Sequence[str]
    targets: IntArray
    judged: Sequence[str]
    multi_label: bool
    vectors: Callable[[], tuple[FloatMatrix, FloatMatrix]]


@dataclass(frozen=True)
class Baseline:
    """``predict(examples)``: bool [judged, labels]. ``embeds``: whether it uses the encoder."""

    title: str
    predict: Callable[[Examples], BoolMatrix]
    embeds: bool = False


def _majority(examples: Examples) -> BoolMatrix:
    """The most frequent class; with several labels per text, every label that at least half of the texts have."""
    counts = examples.targets.sum(axis=0)
    most = np.arange(len(counts)) == counts.argmax()
    chosen = counts * 2 >= len(examples.targets) if examples.multi_label else most
    return np.tile(chosen, (len(examples.judged), 1))


def _naive_bayes(examples: Examples) -> BoolMatrix:
    """Multinomial naive Bayes on the counts of words and pairs of words."""
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.naive_bayes import MultinomialNB

    words = CountVectorizer(ngram_range=(1, 2), token_pattern=WORD)
    try:
        X = words.fit_transform(examples.texts)
    except ValueError:  # the texts have no word
        return _majority(examples)
    judged = words.transform(examples.judged)
    if not examples.multi_label:
        model = MultinomialNB().fit(X, examples.targets.argmax(axis=1))
        return _one_of(model.predict(judged), examples.targets.shape[1])
    columns = [
        MultinomialNB().fit(X, column).predict(judged)
        if 0 < column.sum() < len(column)
        else np.full(len(examples.judged), column.any())
        for column in examples.targets.T
    ]
    return np.asarray(np.stack(columns, axis=1), dtype=bool)


def _nearest_neighbours(examples: Examples) -> BoolMatrix:
    """The vote of the nearest texts by cosine similarity of their embeddings."""
    from sklearn.neighbors import KNeighborsClassifier

    vectors, judged = examples.vectors()
    model = KNeighborsClassifier(min(NEIGHBOURS, len(vectors)), metric="cosine")
    if not examples.multi_label:
        model.fit(vectors, examples.targets.argmax(axis=1))
        return _one_of(model.predict(judged), examples.targets.shape[1])
    return np.asarray(model.fit(vectors, examples.targets).predict(judged), dtype=bool)


def _one_of(columns: IntArray, labels: int) -> BoolMatrix:
    return np.asarray(columns[:, None] == np.arange(labels), dtype=bool)


BASELINES: Mapping[str, Baseline] = {
    "majority": Baseline("majority", _majority),
    "naive-bayes": Baseline("naive Bayes on words", _naive_bayes),
    "nearest-neighbours": Baseline(f"{NEIGHBOURS} nearest neighbours", _nearest_neighbours, embeds=True),
}
