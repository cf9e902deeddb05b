"""Replace words that say little by other words that say little.

Xie et al. (2020), "Unsupervised Data Augmentation for Consistency Training", appendix "Word replacing with TF-IDF".
Deviation: a word is what the encoder's tokenizer takes for one, so punctuation counts as words.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tornio.arrays import DoubleArray
from tornio.spec import Spec, setting
from tornio.training.augmenting.port import Augment, Augmentation, Corpus, Ids
from tornio.training.augmenting.words import Words


class TfIdfSettings(Spec):
    """Settings of the augmentation tf-idf."""

    share: float = setting(
        0.3, unit="share of the words", change="next iteration", gt=0, le=1,
        doc="How many words of a text are replaced, on average. The paper calls it p. Default .3.",
    )  # fmt: skip


class TfIdf(Augmentation[TfIdfSettings]):
    """Words of a low TF-IDF in their text are replaced by words of the corpus that are uninformative in it."""

    name = "tf-idf"
    settings = TfIdfSettings

    def prepare(self, corpus: Corpus, settings: TfIdfSettings) -> Augment:
        measured = Frequencies.of(corpus.texts, corpus.words)
        return lambda texts, random: [_replaced(ids, corpus.words, measured, settings.share, random) for ids in texts]


@dataclass(frozen=True, eq=False)
class Frequencies:
    """How often the words of a corpus occur.

    ``idf``: log(texts / texts with the word), by the word's bytes. ``vocabulary``: each word once, sorted by its bytes.
    ``upto``: float64 [vocabulary], the cumulative probabilities with which they replace others.
    """

    idf: Mapping[bytes, float]
    vocabulary: Sequence[Ids]
    upto: DoubleArray

    @classmethod
    def of(cls, texts: Sequence[Ids], words: Words) -> Frequencies:
        """A word replaces with a probability in proportion to max S - S, where S is its count times its idf."""
        count, documents = Counter[bytes](), Counter[bytes]()
        for ids in texts:
            pieces, places = words.split(ids)
            found = [pieces[place].tobytes() for place in places]
            count.update(found)
            documents.update(set(found))
        idf = {word: math.log(len(texts) / documents[word]) for word in sorted(documents)}
        scores = np.array([count[word] * value for word, value in idf.items()], dtype=np.float64)
        chances = scores.max(initial=0.0) - scores
        if not chances.any():
            chances = np.ones_like(scores)
        vocabulary = [np.frombuffer(word, dtype=np.int64) for word in idf]
        return cls(idf, vocabulary, np.cumsum(chances / max(chances.sum(), 1.0)))


def replacing(scores: DoubleArray, share: float) -> DoubleArray:
    """Return float64 [words]: the probability with which each word of a text is replaced.

    ``scores``: TF-IDF of each word in the text. min(share (C - score) / Z, 1), where C is the largest score of the text
    and Z the mean of C - score. No word is replaced where all have the same score.
    """
    below = scores.max(initial=0.0) - scores
    return np.asarray(np.minimum(share * below / (below.mean() or 1.0), 1.0))


def _replaced(ids: Ids, words: Words, measured: Frequencies, share: float, random: np.random.Generator) -> Ids:
    pieces, places = words.split(ids)
    if not places:
        return ids
    found = [pieces[place].tobytes() for place in places]
    count = Counter(found)
    scores = np.array([count[word] / len(found) * measured.idf.get(word, 0.0) for word in found])
    for place in np.array(places)[random.random(len(places)) < replacing(scores, share)]:
        number = int(np.searchsorted(measured.upto, random.random() * measured.upto[-1], side="right"))
        pieces[place] = measured.vocabulary[min(number, len(measured.vocabulary) - 1)]
    return np.concatenate(pieces)
