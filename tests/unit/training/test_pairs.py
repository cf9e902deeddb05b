"""Which pairs a contrastive training compares."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tornio.training.pairs import draw_pairs

pytestmark = pytest.mark.unit

CLASSES = st.lists(st.integers(0, 6), min_size=1, max_size=40).map(lambda rows: np.array(rows, dtype=np.int64))


@given(classes=CLASSES, count=st.integers(0, 200), seed=st.integers(0, 2**32 - 1))
def test_pairs_are_of_one_class_and_of_two_texts_where_it_has_two(classes: np.ndarray, count: int, seed: int) -> None:
    pairs = draw_pairs(classes, count, seed)
    assert pairs.shape == (count, 2)
    first, second = pairs.T
    assert (classes[first] == classes[second]).all()
    alone = np.bincount(classes)[classes[first]] == 1
    assert ((first == second) == alone).all()


@given(classes=CLASSES, count=st.integers(0, 200), seed=st.integers(0, 2**32 - 1))
def test_classes_and_the_texts_of_a_class_take_turns(classes: np.ndarray, count: int, seed: int) -> None:
    first = draw_pairs(classes, count, seed)[:, 0]
    of_classes = [int((classes[first] == one).sum()) for one in np.unique(classes)]
    assert max(of_classes) - min(of_classes) <= 1
    for one in np.unique(classes):
        of_texts = np.bincount(first, minlength=len(classes))[classes == one]
        assert of_texts.max() - of_texts.min() <= 1


@given(classes=CLASSES, seed=st.integers(0, 2**32 - 1))
def test_the_seed_decides(classes: np.ndarray, seed: int) -> None:
    np.testing.assert_array_equal(draw_pairs(classes, 50, seed), draw_pairs(classes, 50, seed))


def test_another_seed_draws_other_pairs_and_every_partner_occurs() -> None:
    classes = np.repeat([0, 1], 5)
    assert not np.array_equal(draw_pairs(classes, 50, 0), draw_pairs(classes, 50, 1))
    assert len({tuple(pair) for pair in draw_pairs(classes, 2000, 0).tolist()}) == 2 * 5 * 4


def test_many_texts_are_no_list_of_all_pairs() -> None:
    classes = np.zeros(1_000_000, dtype=np.int64)
    assert len(draw_pairs(classes, 100, 0)) == 100
