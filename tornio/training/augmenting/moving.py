"""Leave words out, or let them change places.

Wei and Zou (2019), "EDA: Easy Data Augmentation Techniques", section 2: random deletion and random swap.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tornio.arrays import IntArray
from tornio.spec import Spec, setting
from tornio.training.augmenting.port import Augment, Augmentation, Corpus, Ids

NOTHING = -1


class DropSettings(Spec):
    """Settings of the augmentation word-dropout."""

    share: float = setting(
        0.2, unit="share of the words", change="next iteration", gt=0, lt=1,
        doc="Probability with which a word is left out. Default .2.",
    )  # fmt: skip


class SwapSettings(Spec):
    """Settings of the augmentation word-swap."""

    share: float = setting(
        0.2, unit="share of the words", change="next iteration", gt=0, le=1,
        doc="How many pairs of words change places, as a share of the number of words; at least one pair. Default .2.",
    )  # fmt: skip


class WordDropout(Augmentation[DropSettings]):
    """Each word is left out with the same probability. One word always stays."""

    name = "word-dropout"
    settings = DropSettings

    def prepare(self, corpus: Corpus, settings: DropSettings) -> Augment:
        def kept(count: int, random: np.random.Generator) -> IntArray:
            left_out = random.random(count) < settings.share
            left_out[random.integers(count)] &= not left_out.all()
            return np.where(left_out, NOTHING, np.arange(count))

        return _arranged(corpus, kept)


class WordSwap(Augmentation[SwapSettings]):
    """Pairs of words, drawn at random, change places."""

    name = "word-swap"
    settings = SwapSettings

    def prepare(self, corpus: Corpus, settings: SwapSettings) -> Augment:
        def swapped(count: int, random: np.random.Generator) -> IntArray:
            order = np.arange(count)
            for pair in random.integers(count, size=(max(1, int(settings.share * count)), 2)):
                order[pair] = order[pair[::-1]]
            return order

        return _arranged(corpus, swapped)


def _arranged(corpus: Corpus, arrange: Callable[[int, np.random.Generator], IntArray]) -> Augment:
    """``arrange``: from the number of a text's words to the word that comes into each one's place, or ``NOTHING``."""

    def view(ids: Ids, random: np.random.Generator) -> Ids:
        pieces, words = corpus.words.split(ids)
        if not words:
            return ids
        arranged = dict(enumerate(pieces))
        for place, word in zip(words, arrange(len(words), random).tolist(), strict=True):
            arranged[place] = pieces[words[word]] if word != NOTHING else ids[:0]
        return np.concatenate(list(arranged.values()))

    return lambda texts, random: [view(ids, random) for ids in texts]
