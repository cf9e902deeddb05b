"""Label-quality measures: how well the probabilities of a row fit its given label. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy.special import xlogy

from tornio.arrays import BoolMatrix, DoubleArray, FloatMatrix, FloatVector
from tornio.errors import InvalidInput
from tornio.models.decide import decide

Labels = Sequence[tuple[str, ...]]

LEAST = float(np.finfo(np.float32).tiny)
"""Lower bound of probabilities in a logarithm. It makes the largest loss finite: 87.3."""
CLIP = 1e-6
"""Lower bound of divisors, as in cleanlab (``CLIPPING_LOWER_BOUND``)."""
FORGETTING = 0.8
"""Weight of the worse label in the aggregate of a row with several labels (cleanlab's ``alpha``)."""


@dataclass(frozen=True, slots=True)
class Measures:
    """The measures of n rows. The three qualities equal those of cleanlab: in [0, 1], and low means suspicious.

    If a row may have several labels, each label is a binary decision of its own. The qualities of a row, and so its
    ``given_probability`` and ``loss``, are then cleanlab's default aggregate over the labels (``aggregate``), and
    ``label_probability`` holds the values of the single labels.
    """

    predicted: BoolMatrix
    """bool [n, labels]: the most probable label; with several labels all whose probability is at least one half."""
    given_probability: FloatVector
    """float32 [n] in [0, 1]: self-confidence, the probability of the given label."""
    loss: FloatVector
    """float32 [n], nats: -log of ``given_probability``, at most 87.3."""
    normalized_margin: FloatVector
    """float32 [n] in [0, 1]: half of (probability of the given label - largest other + 1)."""
    entropy: FloatVector
    """float32 [n] in [0, 1]: entropy over the log of the number of labels; with several labels, the mean over them."""
    confidence_weighted_entropy: FloatVector
    """float32 [n] in [0, 1]: log(1 + x) / x with x = entropy / ``given_probability``. Values below 1e-6 are clipped as
    in cleanlab, so a row without any entropy gets the worst quality, 0. The ranking of this name avoids that."""
    label_probability: FloatMatrix
    """float32 [n, labels]: probability that the label is as it was given, present or absent."""

    def __len__(self) -> int:
        return len(self.loss)


def measure(probabilities: FloatMatrix, given: BoolMatrix, multi_label: bool) -> Measures:
    """Measure how probabilities, float [n, labels], fit given labels, bool [n, labels]. n may be 0.

    Sources: Northcutt, Jiang and Chuang (2021), "Confident Learning", JAIR 70 (self-confidence, normalized margin);
    Kuan and Mueller (2022), "Model-agnostic label quality scoring to detect real-world label errors" (confidence-
    weighted entropy); Thyagarajan et al. (2022), "Identifying incorrect annotations in multi-label classification
    data" (the aggregate). Raises InvalidInput for probabilities that are not finite or outside [0, 1], and for a
    single class.
    """
    p = _checked(probabilities, given, multi_label)
    if multi_label:
        return _measure_several(p, given)
    chosen = given.argmax(axis=1)
    quality = _qualities(p, chosen)
    return Measures(
        predicted=decide(p, multi_label),
        given_probability=_single(quality.confidence),
        loss=losses(quality.confidence),
        normalized_margin=_single(quality.margin),
        entropy=_single(quality.entropy),
        confidence_weighted_entropy=_single(quality.weighted_entropy),
        label_probability=_single(np.where(given, p, 1.0 - p)),
    )


def given_matrix(given: Labels, label_names: Sequence[str], multi_label: bool) -> BoolMatrix:
    """Return bool [n, labels]: the given labels, exactly one per row unless ``multi_label``.

    Raises InvalidInput for a row with another number of labels or a label that is not among the names.
    """
    column = {name: j for j, name in enumerate(label_names)}
    matrix = np.zeros((len(given), len(label_names)), dtype=bool)
    for i, row in enumerate(given):
        unknown = [name for name in row if name not in column]
        if unknown:
            raise InvalidInput(f"row {i} has the label {unknown[0]!r}, which is not one of {', '.join(label_names)}")
        if not multi_label and len(row) != 1:
            raise InvalidInput(f"row {i} has the labels {list(row)}, but each row must have exactly one")
        matrix[i, [column[name] for name in row]] = True
    return matrix


def label_matrix(column: pa.ChunkedArray, label_names: Sequence[str]) -> BoolMatrix:
    """Return bool [n, labels] for a column of lists of labels. Each label is among the names; a list may be empty."""
    lists = column.combine_chunks()
    matrix = np.zeros((len(lists), len(label_names)), dtype=bool)
    places = pc.index_in(lists.flatten(), value_set=pa.array(label_names, pa.string()))
    matrix[lists.value_parent_indices().to_numpy(), places.to_numpy()] = True
    return matrix


def losses(confidence: DoubleArray) -> NDArray[np.float32]:
    """Return float32, nats: -log of the confidence, which is at least the smallest normal float32."""
    return _single(-np.log(np.maximum(confidence, LEAST)))


def aggregate(qualities: DoubleArray) -> DoubleArray:
    """Return one quality per row from those of its labels, float [n, labels]: their moving average, best to worst.

    cleanlab's default for multi-label data: ``exponential_moving_average`` with alpha 0.8. The worst label weighs most.
    """
    descending = -np.sort(-qualities, axis=1)
    average = descending[:, 0]
    for column in descending.T[1:]:
        average = FORGETTING * column + (1.0 - FORGETTING) * average
    return np.asarray(average)


@dataclass(frozen=True, slots=True)
class _Qualities:
    """float64 [n] each."""

    confidence: DoubleArray
    margin: DoubleArray
    entropy: DoubleArray
    weighted_entropy: DoubleArray


def _measure_several(p: DoubleArray, given: BoolMatrix) -> Measures:
    columns = [_qualities(np.column_stack([1.0 - q, q]), g.astype(np.int64)) for q, g in zip(p.T, given.T, strict=True)]
    confidence = np.column_stack([column.confidence for column in columns])
    overall = aggregate(confidence)
    return Measures(
        predicted=decide(p, multi_label=True),
        given_probability=_single(overall),
        loss=losses(overall),
        normalized_margin=_single(aggregate(np.column_stack([column.margin for column in columns]))),
        entropy=_single(np.column_stack([column.entropy for column in columns]).mean(axis=1)),
        confidence_weighted_entropy=_single(
            aggregate(np.column_stack([column.weighted_entropy for column in columns]))
        ),
        label_probability=_single(confidence),
    )


def _qualities(p: DoubleArray, chosen: NDArray[np.int64]) -> _Qualities:
    """The formulas of ``cleanlab.rank``, for probabilities [n, labels] and the index of each row's label."""
    rows = np.arange(len(p))
    confidence = p[rows, chosen]
    others = p.copy()
    others[rows, chosen] = -np.inf
    entropy = -xlogy(p, p).sum(axis=1) / np.log(p.shape[1])
    ratio = entropy / np.maximum(confidence, CLIP)
    return _Qualities(
        confidence=confidence,
        margin=(confidence - others.max(axis=1) + 1.0) / 2.0,
        entropy=entropy,
        weighted_entropy=np.log1p(ratio) / np.maximum(ratio, CLIP),
    )


def _checked(probabilities: FloatMatrix, given: BoolMatrix, multi_label: bool) -> DoubleArray:
    p = np.asarray(probabilities, dtype=np.float64)
    if p.ndim != 2 or p.shape != given.shape:
        raise ValueError(f"probabilities of shape {p.shape} for given labels of shape {given.shape}")
    if p.shape[1] < 2 and not multi_label:
        raise InvalidInput("one class has nothing to be told apart from. Give two labels or more")
    broken = ~np.isfinite(p).all(axis=1)
    if broken.any():
        raise InvalidInput(
            f"{broken.sum()} of {len(p)} rows have probabilities that are not finite, the first is row "
            f"{int(broken.argmax())}. The model is broken: score with another version"
        )
    if (p < 0).any() or (p > 1).any():
        raise InvalidInput(f"probabilities are between {p.min():.3g} and {p.max():.3g}. Give the softmax, not logits")
    return p


def _single(values: DoubleArray) -> NDArray[np.float32]:
    return np.asarray(values, dtype=np.float32)
