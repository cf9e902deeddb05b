"""What is sent in several requests arrives whole, in order, and in none that is too large."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tornio.client.chunks import chunks, json_size

pytestmark = pytest.mark.unit


@given(st.lists(st.integers(0, 50)), st.integers(1, 10), st.integers(0, 100))
def test_chunks_are_whole_and_within_limits(sizes: list[int], most: int, most_bytes: int) -> None:
    cut = list(chunks(sizes, most, most_bytes, lambda size: size))
    assert [size for chunk in cut for size in chunk] == sizes
    assert all(0 < len(chunk) <= most for chunk in cut)
    assert all(len(chunk) == 1 or sum(chunk) <= most_bytes for chunk in cut)


@given(st.lists(st.text()))
def test_the_size_of_a_text_is_what_it_takes_in_a_request(texts: list[str]) -> None:
    body = json.dumps(texts, ensure_ascii=False, separators=(",", ":")).encode()
    assert len(body) <= sum(map(json_size, texts)) + 2
