"""Tokens are found again in the rows that texts share."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tornio.training.packing import pack

pytestmark = pytest.mark.unit


@given(st.lists(st.integers(1, 90), min_size=1, max_size=20), st.sampled_from([1, 16, 64]))
def test_places_find_every_token_of_every_text(lengths: list[int], width: int) -> None:
    texts = [np.arange(length) + 100 * number for number, length in enumerate(lengths)]
    rows = pack(texts, pad=-7, width=width)
    np.testing.assert_array_equal(rows.ids.flatten()[rows.places], np.concatenate(texts))
