"""Slices are nested, stratified, and never hold a text that judges."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tornio.arrays import IntArray
from tornio.comparison.slices import FOLDS, check_sizes, judged_rows, nested_rows
from tornio.errors import InvalidInput

pytestmark = pytest.mark.unit
LABELS = st.lists(st.integers(0, 3), min_size=12, max_size=60)


def one_hot(classes: list[int]) -> IntArray:
    return np.eye(4, dtype=np.int64)[classes]


@given(LABELS, st.integers(0, 50))
def test_each_text_judges_one_of_three_seeds(classes: list[int], first: int) -> None:
    first -= first % FOLDS
    judged = [judged_rows(one_hot(classes), first + fold) for fold in range(FOLDS)]
    assert sorted(np.concatenate(judged)) == list(range(len(classes)))


@given(LABELS, st.integers(0, 50), st.booleans(), st.data())
def test_a_smaller_slice_lies_within_a_larger_one(
    classes: list[int], seed: int, per_class: bool, data: st.DataObject
) -> None:
    Y = one_hot(classes)
    rows = np.setdiff1d(np.arange(len(Y)), judged_rows(Y, seed))
    small, large = sorted(data.draw(st.tuples(st.integers(1, 10), st.integers(1, 10))))
    inner, outer = (set(nested_rows(Y, rows, size, per_class, seed)) for size in (small, large))
    assert inner <= outer <= set(rows)
    if per_class:
        available = Y[rows].sum(axis=0)
        assert list(Y[sorted(inner)].sum(axis=0)) == [min(small, count) for count in available]
    else:
        assert len(inner) == min(small, len(rows))


@given(st.integers(0, 1000), st.integers(4, 40))
def test_a_slice_has_the_shares_of_the_whole(seed: int, size: int) -> None:
    Y = one_hot([0] * 60 + [1] * 30 + [2] * 30)
    chosen = nested_rows(Y, np.arange(len(Y)), size, False, seed)
    for column, share in enumerate((0.5, 0.25, 0.25)):
        assert abs(Y[chosen][:, column].sum() - share * size) <= 1


def test_seeds_choose_other_texts_and_the_same_seed_the_same() -> None:
    Y = one_hot([0, 1, 2, 3] * 30)
    rows = np.arange(len(Y))
    chosen = [nested_rows(Y, rows, 5, True, seed).tolist() for seed in (0, 0, 1)]
    assert chosen[0] == chosen[1] != chosen[2]


@pytest.mark.parametrize(
    ("classes", "sizes", "per_class", "multi_label", "message"),
    [
        ([0, 0, 0, 1, 2, 3], [2, 4], True, False, "'b' has 1 texts .* asks for 4 per class"),
        ([0, 1, 2, 3], [2, 8], False, False, "4 labelled texts .* asks for 8"),
        ([0, 1, 2, 3] * 3, [8, 16], False, False, "at most 12, such as --sizes 3,6,12"),
        ([0, 0, 0], [2], False, False, "one label only"),
        ([0, 1, 2, 3], [1], True, True, "--per-class needs one label per text"),
    ],
)
def test_sizes_that_the_labels_cannot_fill_are_refused(
    classes: list[int], sizes: list[int], per_class: bool, multi_label: bool, message: str
) -> None:
    with pytest.raises(InvalidInput, match=message):
        check_sizes(one_hot(classes), ["a", "b", "c", "d"], sizes, per_class, multi_label)
