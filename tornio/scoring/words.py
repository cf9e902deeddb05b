"""Words and pairs of words as sparse features. Errors often depend on single words, which an encoder averages out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.feature_extraction.text import HashingVectorizer

from tornio.records import normalise

MOST = 30_000
"""Most features; the most frequent ones are kept. It bounds the size of the heads."""
SLOTS = 2**20
_PIECE = r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|\w+|[^\w\s]"
"""A kana or Chinese character, a run of letters and digits, or a single other sign, such as a question mark."""


@dataclass(frozen=True)
class Words:
    """tf-idf of hashed words and word pairs. ``slots``: int64 [m], ascending; ``idf``: float32 [m]."""

    slots: NDArray[np.int64]
    idf: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.slots)

    def matrix(self, texts: Sequence[str]) -> Any:
        """Return CSR float32 [n, m]: (1 + log count) * idf. Each row has length one, or zero if it has no known word.

        Salton and Buckley (1988), "Term-weighting approaches in automatic text retrieval"; words are hashed as in
        Weinberger et al. (2009), so that no vocabulary is stored.
        """
        counts = _hashed(texts)[:, self.slots].tocsr()
        counts.data = (1.0 + np.log(counts.data)) * self.idf[counts.indices]
        lengths = np.sqrt(np.asarray(counts.multiply(counts).sum(axis=1)).ravel())
        return sparse.csr_array(sparse.diags_array(1.0 / np.maximum(lengths, 1e-9)) @ counts).astype(np.float32)


def find_words(texts: Sequence[str]) -> Words:
    """Return the ``MOST`` most frequent words and pairs of those that occur in at least two texts, possibly none."""
    frequency = np.bincount(_hashed(texts).indices, minlength=SLOTS)
    slots = np.flatnonzero(frequency >= 2)
    if len(slots) > MOST:
        slots = np.sort(slots[np.argsort(-frequency[slots], kind="stable")[:MOST]])
    idf = np.log((1.0 + len(texts)) / (1.0 + frequency[slots])) + 1.0
    return Words(slots.astype(np.int64), idf.astype(np.float32))


def _hashed(texts: Sequence[str]) -> Any:
    """CSR float32 [n, SLOTS]: counts. Each slot occurs once per text."""
    hashing = HashingVectorizer(
        preprocessor=normalise,
        token_pattern=_PIECE,
        ngram_range=(1, 2),
        n_features=SLOTS,
        alternate_sign=False,
        norm=None,
        dtype=np.float32,
    )
    return hashing.transform(texts)
