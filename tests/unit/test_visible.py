"""Text of users may hold anything. What is shown of it commands neither a terminal nor a browser."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tornio.visible import visible

pytestmark = pytest.mark.unit


@given(st.text(st.characters()))
def test_nothing_that_a_terminal_obeys_is_left(text: str) -> None:
    shown = visible(text)
    assert not [sign for sign in shown if unicodedata.category(sign) in ("Cc", "Cs", "Zl", "Zp") and sign not in "\t\n"]
    assert not [sign for sign in shown if unicodedata.bidirectional(sign) in ("RLO", "LRO", "RLE", "LRE", "RLI", "LRI")]


@given(st.text())
def test_a_json_document_keeps_its_meaning(text: str) -> None:
    assert json.loads(visible(json.dumps({"text": text}, ensure_ascii=False))) == {"text": text}


@pytest.mark.parametrize("text", ["[bold]plain[/bold] :smile:", "שלום", "नमस्ते", "👩‍👩‍👧", "a\tb\n"])
def test_writing_stays_as_it_is(text: str) -> None:
    assert visible(text) == text
