"""What the search box of Argilla understands, without a server."""

import re
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services import embedded

# The folder that Argilla's interpreter runs: its packages are top-level there, and here.
sys.path.append(str(Path(embedded.__file__).parent / "argilla_app"))

from sql_search.query_syntax import Term, parse

pytestmark = pytest.mark.unit


def finds(query: str, text: str) -> bool:
    def holds(term: Term) -> bool:
        return bool(re.search("(?i)" + term.pattern, text)) != term.negated

    alternatives = parse(query)
    return not alternatives or any(all(map(holds, terms)) for terms in alternatives)


@pytest.mark.parametrize(
    ("query", "found", "not_found"),
    [
        ("refund", "My REFUND, please", "refunded yesterday"),
        ("refund*", "refunded yesterday", "no fund"),
        ("card lost", "I lost my card", "I lost my phone"),
        ('"lost card"', "a lost, card", "a card lost"),
        ("card -lost", "my card", "my lost card"),
        ("card | phone", "my phone", "my keys"),
        ("CAFÉ", "le café", "le cafe"),
        ("a+b (c)", "b a b, c", "a b"),
    ],
)
def test_queries(query: str, found: str, not_found: str) -> None:
    assert finds(query, found)
    assert not finds(query, not_found)


@pytest.mark.parametrize("query", ["", "  ", "|", "-", '""', "*", "?! | ."])
def test_nothing_to_search_for_finds_everything(query: str) -> None:
    assert parse(query) == ()


@given(st.text())
def test_any_text_is_a_query_whose_patterns_compile(query: str) -> None:
    for terms in parse(query):
        assert terms
        for term in terms:
            re.compile(term.pattern)


@given(st.lists(st.from_regex(r"\w{1,8}", fullmatch=True), min_size=1, max_size=5))
def test_a_text_is_found_by_its_own_words(words: list[str]) -> None:
    text = " ".join(words)
    assert finds(text, text)
    assert finds(f'"{text}"', text)
    assert not finds(f"-{words[0]}", text)
