"""The mean of what several teachers say."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from tornio.models.combined import DOUBT, CombinedZeroShot, combine
from tornio.models.port import Scores
from tornio.spec import LabelSpec

pytestmark = pytest.mark.unit
Said = list[NDArray[np.float32]]


@st.composite
def said(draw: st.DrawFn, several: bool) -> Said:
    """What one to four teachers say of some texts; some say nothing of some of them, and some are entirely sure."""
    shape = (draw(st.integers(1, 4)), draw(st.integers(0, 5)), draw(st.integers(2, 4)))
    values = draw(arrays(np.float32, shape, elements=st.floats(0, 1, width=32)))
    silent = draw(arrays(np.bool_, shape[:2]))
    if not several:
        values = values + np.float32(1e-6)
        values /= values.sum(axis=2, keepdims=True)
    values[silent] = np.nan
    return list(values)


SEVERAL = st.booleans().flatmap(lambda several: st.tuples(st.just(several), said(several)))


@given(SEVERAL)
def test_every_text_that_a_teacher_answers_has_probabilities_in_any_order_of_the_teachers(
    case: tuple[bool, Said],
) -> None:
    several, each = case
    found = combine(each, several)
    answered = ~np.isnan(np.stack(each)).any(axis=2).all(axis=0)
    assert found.dtype == np.float32
    assert np.isnan(found).any(axis=1).tolist() == (~answered).tolist()
    assert ((found[answered] > 0) & (found[answered] < 1)).all(), "nobody is entirely sure"
    if not several:
        np.testing.assert_allclose(found[answered].sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(combine(each[::-1], several), found, rtol=1e-4, atol=1e-6)


@given(SEVERAL)
def test_who_says_nothing_of_a_text_does_not_count(case: tuple[bool, Said]) -> None:
    several, each = case
    nothing = np.full_like(each[0], np.nan)
    np.testing.assert_allclose(combine([*each, nothing], several), combine(each, several), rtol=1e-4, atol=1e-6)


@given(SEVERAL)
def test_labels_in_another_order_get_the_same(case: tuple[bool, Said]) -> None:
    several, each = case
    turned = combine([one[:, ::-1] for one in each], several)[:, ::-1]
    np.testing.assert_allclose(turned, combine(each, several), rtol=1e-4, atol=1e-6)


@given(SEVERAL)
def test_teachers_of_one_opinion_say_what_one_of_them_does(case: tuple[bool, Said]) -> None:
    """That is its own opinion, with the doubt."""
    several, (one, *_) = case
    choices = 2 if several else one.shape[1]
    expected = (1 - DOUBT) * one + DOUBT / choices
    np.testing.assert_allclose(combine([one] * 3, several), expected, rtol=1e-3, atol=1e-6)


@given(arrays(np.float32, st.tuples(st.just(3), st.integers(1, 5), st.just(1)), elements=st.floats(0, 1, width=32)))
def test_a_label_that_may_be_given_or_not_is_a_choice_of_two(yes: NDArray[np.float32]) -> None:
    choices = [np.concatenate([one, 1 - one], axis=1) for one in yes]
    np.testing.assert_allclose(combine(list(yes), True)[:, 0], combine(choices, False)[:, 0], atol=1e-4)


def test_a_teacher_that_is_always_sure_does_not_decide_alone_against_several() -> None:
    sure = np.array([[1.0, 0.0, 0.0]], dtype=np.float32)
    others = np.array([[0.02, 0.96, 0.02]], dtype=np.float32)
    assert combine([sure, others, others], False).argmax() == 1
    assert combine([sure, sure, others], False).argmax() == 0


class Fixed:
    """Says the same of every text."""

    def __init__(self, name: str, row: list[float], tally: dict[str, float] | None = None) -> None:
        self.name = f"teacher:{name}"
        self.row, self.tally = row, tally or {}
        self.templates: list[Sequence[str]] = []

    def score(
        self, texts: Sequence[str], labels: Sequence[LabelSpec], templates: Sequence[str], multi_label: bool = False
    ) -> Scores:
        self.templates.append(templates)
        probabilities = np.tile(np.array(self.row, dtype=np.float32), (len(texts), 1))
        return Scores(np.log(probabilities), probabilities, np.zeros(len(texts), dtype=bool), self.tally)


def test_members_are_asked_with_their_own_templates_and_all_of_them_are_named() -> None:
    first, second = Fixed("embedding:minilm", [0.6, 0.4]), Fixed("llm:gpt:m", [0.2, 0.8], {"requests": 2})
    teacher = CombinedZeroShot([(first, ("{}",)), (second, ("On {}.",))])
    labels = [LabelSpec(name="a"), LabelSpec(name="b")]
    scores = teacher.score(["x", "y"], labels, ("unused {}",))
    assert teacher.name == "teacher:combined:embedding:minilm+llm:gpt:m"
    assert (first.templates, second.templates) == ([("{}",)], [("On {}.",)])
    assert scores.tally == {"requests": 2}
    assert scores.probabilities.argmax(axis=1).tolist() == [1, 1]
    np.testing.assert_allclose(np.exp(scores.logits), scores.probabilities, rtol=1e-5)
    both = teacher.score(["x"], labels, (), multi_label=True)
    np.testing.assert_allclose(1 / (1 + np.exp(-both.logits)), both.probabilities, rtol=1e-5)
