"""The batcher: every text once, within the budget, little padding."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tornio.models.batching import token_batches

pytestmark = pytest.mark.unit


@given(lengths=st.lists(st.integers(0, 600), max_size=200), budget=st.integers(1, 5000), max_rows=st.integers(1, 64))
def test_each_text_is_in_one_batch_that_keeps_the_budget(lengths: list[int], budget: int, max_rows: int) -> None:
    batches = token_batches(lengths, budget, max_rows)
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    for batch in batches:
        longest = max(lengths[i] for i in batch)
        assert len(batch) == 1 or (len(batch) * longest <= budget and len(batch) <= max_rows)


def test_similar_lengths_share_a_batch() -> None:
    """Of texts whose lengths vary as in mail, unsorted batches of 32 pad more than half; sorted ones a few per cent."""
    lengths = np.random.default_rng(0).lognormal(3.5, 0.8, 2000).astype(int).clip(4, 256)

    def computed(batches: list[np.ndarray]) -> int:
        return sum(len(batch) * int(lengths[batch].max()) for batch in batches)

    unsorted = [np.arange(start, min(start + 32, 2000)) for start in range(0, 2000, 32)]
    assert computed(unsorted) > 2.0 * lengths.sum()
    assert computed(token_batches(lengths.tolist())) < 1.1 * lengths.sum()
