"""From the log-probabilities of tokens to those of labels."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tornio.models.llm.logprobs import label_probabilities
from tornio.models.llm.port import Token

pytestmark = pytest.mark.unit


def token(text: str, **alternatives: float) -> Token:
    """A token that is certain, or one of these alternatives by their probabilities."""
    found = {name.encode(): math.log(one) for name, one in alternatives.items()}
    return Token(text.encode(), {text.encode(): 0.0, **found})


def found(tokens: Sequence[Token], *names: str) -> list[float]:
    probabilities = label_probabilities(tokens, names, "label")
    assert probabilities is not None
    return [round(float(one), 9) for one in probabilities]


def test_a_first_token_that_tells_all_labels_apart_says_it_all() -> None:
    tokens = [token('{"label": "'), token("fr", fr=0.6, met=0.3, the=0.1), token("uit"), token('"}')]
    assert found(tokens, "fruit", "metal") == pytest.approx([2 / 3, 1 / 3])


def test_labels_that_begin_alike_are_told_apart_by_the_next_token() -> None:
    names = ("card lost", "card late", "other")
    tokens = [token('{"label":"'), token("card", card=0.8, other=0.2), token(" lost", **{" lost": 0.75, " late": 0.25})]
    assert found([*tokens, token('"}')], *names) == pytest.approx([0.6, 0.2, 0.2])
    unknown = [token('{"label":"'), token("other", card=0.8, other=0.2), token('"}')]
    assert found(unknown, *names) == pytest.approx([0.4, 0.4, 0.2])


def test_a_label_that_begins_another_ends_with_its_quotation_mark() -> None:
    tokens = [token('{"label": "'), token("art", art=0.9, other=0.1), token('"}', **{'"}': 0.7, "icle": 0.3})]
    assert found(tokens, "article", "art", "other") == pytest.approx([0.27, 0.63, 0.1])


def test_a_name_may_begin_inside_a_token() -> None:
    tokens = [token('{"label":'), token(' "fr', **{' "fr': 0.5, ' "met': 0.25, ' "': 0.2, "x": 0.05}), token('uit"}')]
    assert found(tokens, "fruit", "metal") == pytest.approx([2 / 3, 1 / 3])


def test_a_thought_before_the_answer_does_not_count() -> None:
    tokens = [token('<think>"label": "metal"</think>{"label": "'), token("fruit", fruit=0.9, metal=0.1), token('"}')]
    assert found(tokens, "fruit", "metal") == pytest.approx([0.9, 0.1])


@pytest.mark.parametrize("name", ["label", '"label":', "label:", ":"])
def test_a_label_may_be_called_as_the_field_is(name: str) -> None:
    whole = json.dumps({"label": name}, indent=1)
    tokens = [token(whole[:-3]), token(whole[-3:])]
    assert found(tokens, "fruit", name) == pytest.approx([0.0, 1.0])


@pytest.mark.parametrize(
    "tokens",
    [
        [],
        [token("fruit")],
        [token('{"label": 3}')],
        [token('{"label": "')],
        [token('{"label": "'), token("fr")],  # it ends before it has said which
        [token('{"label": "'), token("\\u0066ruit"), token('"}')],  # spelt in another way
        [token('{"label": "'), Token(b"fruit", {b"metal": -1.0}), token('"}')],  # it does not list itself
    ],
)
def test_tokens_that_do_not_say_it_are_not_guessed_from(tokens: list[Token]) -> None:
    assert label_probabilities(tokens, ("fruit", "from", "metal"), "label") is None


NAMES = st.lists(st.text(min_size=1, max_size=8), min_size=2, max_size=6, unique=True)


@given(NAMES, st.data())
def test_however_a_name_is_cut_into_tokens_a_sure_model_is_sure(names: list[str], data: st.DataObject) -> None:
    """Any labels, also with quotation marks and parts of characters, cut anywhere, also inside a character."""
    name = data.draw(st.sampled_from(names))
    try:
        whole = json.dumps({"label": name}, ensure_ascii=False).encode()
    except UnicodeEncodeError:  # half a surrogate pair, which no server can send
        return
    cuts = sorted(data.draw(st.sets(st.integers(1, len(whole) - 1), max_size=6)))
    pieces = [whole[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    assert found([Token(piece, {piece: 0.0}) for piece in pieces], *names)[names.index(name)] == pytest.approx(1.0)
