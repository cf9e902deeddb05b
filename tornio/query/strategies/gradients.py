"""Strategies that look at the gradient that a text's label would give to a linear head."""

from __future__ import annotations

import numpy as np

from tornio.arrays import DoubleArray, FloatMatrix, IntArray
from tornio.query.candidates import Candidates, GradientEmbeddings
from tornio.query.port import Selection
from tornio.query.strategies.uncertainty import chosen
from tornio.query.vectors import Bounded, drawn, highest


class Badge:
    """Draws texts whose gradients are long and differ: k-means++ seeding over the gradient embeddings.

    Source: Ash et al. (2020), "Deep Batch Active Learning by Diverse, Uncertain Gradient Lower Bounds", ICLR,
    algorithm 1. As in its authors' code, the first text is the one with the longest gradient; each further one is drawn
    with a chance in proportion to its squared distance to those drawn before. With several labels allowed, the gradient
    is that of the sum of the labels' log-losses, at the labels that the model predicts. When only copies of picked
    gradients are left, the rest is picked by the length of the gradient.
    """

    settings = Bounded
    reads_pool = True

    def select(self, candidates: Candidates, n: int, seed: int) -> Selection:
        positions = drawn(candidates, n, seed)
        picked = seeded(candidates.take(positions).gradient_embeddings, n, seed)
        return chosen(candidates, positions[picked])


def seeded(gradients: GradientEmbeddings, n: int, seed: int) -> IntArray:
    """Return ``n`` rows by k-means++ seeding, int64. See ``Badge``.

    A squared distance is made of the factors' products, so that a gradient, [K * d] numbers, is never written out.
    """
    residuals, vectors = gradients.residuals, gradients.vectors
    lengths = _squared(residuals) * _squared(vectors)
    random, distances = np.random.default_rng(seed), np.full(len(vectors), np.inf)
    picked: list[int] = []
    size = min(n, len(vectors))
    while len(picked) < size:
        if not picked:
            picked.append(int(lengths.argmax()))
        elif distances.sum() > 0:
            picked.append(int(random.choice(len(vectors), p=distances / distances.sum())))
        else:
            rest = lengths.copy()
            rest[picked] = -1.0
            return np.array([*picked, *highest(rest, size - len(picked))], dtype=np.int64)
        last = picked[-1]
        products = (residuals @ residuals[last]).astype(np.float64) * (vectors @ vectors[last])
        new = lengths + lengths[last] - 2.0 * products
        # Single precision cannot tell a distance below this from none: copies must not be drawn for their rounding.
        new[new < 1e-6 * (lengths + lengths[last])] = 0.0
        distances = np.minimum(distances, new)
        distances[picked] = 0.0
    return np.array(picked, dtype=np.int64)


class ExpectedGradientLength:
    """Picks the texts whose label would change the head most, in the mean over the labels that the model expects.

    Source: Settles, Craven and Ray (2008), "Multiple-Instance Active Learning", NeurIPS, section 4.3. The gradient of
    the log-loss at label y is the outer product of p - e_y and the embedding with a one for the bias, so the expected
    length is sqrt(|v|^2 + 1) * sum_y p_y |p - e_y|. With several labels allowed it is the sum over the labels, each a
    yes-or-no question: sqrt(|v|^2 + 1) * sum_k 2 p_k (1 - p_k). Only the head's gradient counts, not the encoder's.
    """

    settings = Bounded
    reads_pool = True

    def select(self, candidates: Candidates, n: int, seed: int) -> Selection:
        positions = drawn(candidates, n, seed)
        some = candidates.take(positions)
        some.needs_linear_head()
        vectors, p = some.embeddings, some.probabilities  # in this order: see ``Candidates.gradient_embeddings``
        lengths = expected_length(p, vectors, some.multi_label)
        return chosen(candidates, positions[highest(lengths, n)])


def expected_length(probabilities: FloatMatrix, embeddings: FloatMatrix, multi_label: bool) -> DoubleArray:
    """float64 [m]: see ``ExpectedGradientLength``."""
    p = np.asarray(probabilities, dtype=np.float64)
    if multi_label:
        errors = (2.0 * p * (1.0 - p)).sum(axis=1)
    else:
        errors = (p * np.sqrt(np.maximum(_squared(p)[:, None] - 2.0 * p + 1.0, 0.0))).sum(axis=1)
    return np.asarray(np.sqrt(_squared(embeddings) + 1.0) * errors)


def _squared(rows: FloatMatrix | DoubleArray) -> DoubleArray:
    """float64 [m]: the squared length of each row."""
    return np.asarray(np.einsum("ij,ij->i", rows, rows, dtype=np.float64))
