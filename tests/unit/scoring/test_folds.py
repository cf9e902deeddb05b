"""Folds: copies of a text stay together, classes spread evenly, and the order of the input decides nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tornio.errors import InvalidInput
from tornio.scoring.folds import Folds, deal, sample, text_keys

pytestmark = pytest.mark.unit

ROWS = st.lists(st.tuples(st.text("abc", max_size=4), st.integers(0, 2)), min_size=8, max_size=80)


def dealt(rows: list[tuple[str, int]], count: int, seed: int) -> Folds:
    return deal(text_keys([text for text, _ in rows]), np.eye(3, dtype=bool)[[label for _, label in rows]], count, seed)


@given(ROWS, st.integers(2, 5), st.integers(0, 2**32 - 1), st.randoms())
def test_the_order_of_the_input_decides_nothing(
    rows: list[tuple[str, int]], count: int, seed: int, random: object
) -> None:
    assume(len({text for text, _ in rows}) >= count)
    other = list(rows)
    random.shuffle(other)  # type: ignore[attr-defined]
    first, second = dealt(rows, count, seed), dealt(other, count, seed)
    np.testing.assert_array_equal(first.keys, second.keys)
    np.testing.assert_array_equal(first.fold, second.fold)


@given(ROWS, st.integers(2, 5), st.integers(0, 2**32 - 1))
def test_classes_spread_evenly(rows: list[tuple[str, int]], count: int, seed: int) -> None:
    distinct = list(dict(rows).items())
    assume(len(distinct) >= count)
    folds = dealt(distinct, count, seed)
    of = folds.of(text_keys([text for text, _ in distinct]))
    for label in range(3):
        sizes = np.bincount(of[[own == label for _, own in distinct]], minlength=count)
        assert sizes.max() - sizes.min() <= 1
    sizes = np.bincount(of, minlength=count)
    assert sizes.max() - sizes.min() <= 1


def test_what_counts_as_the_same_text_stays_in_one_fold() -> None:
    texts = ["Who is it?", "who  is IT?", "ｗho is it?", *(f"text {i}" for i in range(20))]
    keys = text_keys(texts)
    assert len(set(keys.tolist())) == 21
    folds = deal(keys, np.eye(2, dtype=bool)[np.arange(23) % 2], 5, seed=1)
    assert len(set(folds.of(keys)[:3].tolist())) == 1


def test_another_seed_deals_other_folds() -> None:
    keys, on = text_keys([f"text {i}" for i in range(50)]), np.ones((50, 1), dtype=bool)
    assert (deal(keys, on, 5, seed=0).of(keys) != deal(keys, on, 5, seed=1).of(keys)).any()


def test_a_text_from_elsewhere_has_no_fold() -> None:
    folds = dealt([(c, 0) for c in "abcdef"], 2, 0)
    with pytest.raises(InvalidInput, match="1 of 2 texts belong to no fold"):
        folds.of(text_keys(["a", "zzz"]))


def test_folds_that_cannot_be_dealt_are_refused() -> None:
    with pytest.raises(InvalidInput, match="2 different texts cannot be dealt to 3"):
        dealt([("a", 0), ("b", 1), ("A", 0)], 3, 0)
    with pytest.raises(InvalidInput, match="needs 2 to 100 folds, not 1"):
        dealt([("a", 0), ("b", 1)], 1, 0)


@given(ROWS, st.integers(1, 30), st.integers(0, 2**32 - 1), st.randoms())
def test_a_sample_takes_the_same_texts_in_whatever_order(
    rows: list[tuple[str, int]], most: int, seed: int, random: object
) -> None:
    other = list(rows)
    random.shuffle(other)  # type: ignore[attr-defined]
    chosen, again = sampled(rows, most, seed), sampled(other, most, seed)
    assert chosen == again
    distinct = len({text for text, _ in rows})
    assert min(most, distinct) <= len(chosen) <= min(max(most, 3), distinct), "one of each label, however few are asked"


def sampled(rows: list[tuple[str, int]], most: int, seed: int) -> set[str]:
    """The texts that a sample has."""
    texts = [text for text, _ in rows]
    return {texts[i] for i in sample(text_keys(texts), np.eye(3, dtype=bool)[[label for _, label in rows]], most, seed)}


def test_a_sample_has_texts_of_rare_labels_too() -> None:
    rows = [(f"common {n}", 0) for n in range(3000)] + [(f"rare {n}", 1) for n in range(6)]
    chosen = sampled(rows, 200, seed=1)
    assert len(chosen) == 200
    assert {text for text, label in rows if label == 1} <= chosen
