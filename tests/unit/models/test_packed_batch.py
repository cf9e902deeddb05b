"""Packing: every text once, within the budget, nothing between; and the windows that texts come in."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tornio.models.packed.batch import Batch, packed_batches, position_ids
from tornio.models.windows import one_ahead, windows

pytestmark = pytest.mark.model


@given(lengths=st.lists(st.integers(1, 300), max_size=100), budget=st.integers(1, 2000))
def test_each_text_is_in_one_batch_and_each_token_in_one_run(lengths: list[int], budget: int) -> None:
    batches = list(packed_batches(lengths, budget))
    assert sorted(i for batch in batches for i in batch.rows) == list(range(len(lengths)))
    for batch in batches:
        assert batch.lengths.tolist() == [lengths[i] for i in batch.rows]
        assert len(batch.rows) == 1 or batch.lengths.sum() <= budget
        assert [length for run in batch.runs for length in [run.length] * run.rows] == batch.lengths.tolist()
        ends = [0, *(run.tokens.stop for run in batch.runs)]
        assert [run.start for run in batch.runs] == ends[:-1]
        assert ends[-1] == batch.lengths.sum()
        assert len({run.length for run in batch.runs}) == len(batch.runs)


def batch_of(rows: Sequence[NDArray[np.int64]]) -> Batch:
    return Batch(np.arange(len(rows)), np.array([len(row) for row in rows]))


@given(rows=st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=9), min_size=1, max_size=9))
def test_positions_are_those_of_each_text_alone(rows: list[list[int]]) -> None:
    import torch
    from transformers.models.roberta.modeling_roberta import RobertaEmbeddings

    arrays = [np.array(row) for row in rows]
    batch, ids = batch_of(arrays), np.concatenate(arrays)
    assert position_ids(ids, batch, None).tolist() == [i for row in rows for i in range(len(row))]
    theirs = RobertaEmbeddings.create_position_ids_from_input_ids
    alone = [theirs(torch.tensor([row]), 1)[0] for row in rows]  # type: ignore[no-untyped-call]
    assert position_ids(ids, batch, 1).tolist() == torch.cat(alone).tolist()


@given(n=st.integers(0, 50), size=st.integers(1, 60))
def test_windows_are_all_places_in_order(n: int, size: int) -> None:
    parts = windows(n, size)
    assert [i for part in parts for i in range(n)[part]] == list(range(n))
    assert all(0 < part.stop - part.start <= size for part in parts)


@given(items=st.lists(st.integers(), max_size=6))
def test_one_ahead_keeps_the_order(items: list[int]) -> None:
    assert list(one_ahead(lambda item: item + 1, items)) == [item + 1 for item in items]


def test_the_next_is_worked_on_while_the_caller_has_one_but_no_further() -> None:
    begun = [threading.Event() for _ in range(4)]
    results = one_ahead(lambda i: begun[i].set(), range(4))
    next(results)
    assert begun[1].wait(10)
    assert not begun[2].is_set()
    results.close()  # type: ignore[attr-defined]
    assert not begun[2].is_set()


def test_a_single_item_takes_no_thread() -> None:
    assert list(one_ahead(lambda _: threading.current_thread(), [0])) == [threading.current_thread()]


def test_an_error_comes_at_its_turn() -> None:
    results = one_ahead(lambda item: 1 // item, [1, 0, 1])
    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        next(results)
