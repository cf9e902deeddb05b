"""The report of ``make demo``: figures from what a run saw, and one page that needs nothing else."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.support import chart
from examples.support.report import render, seconds
from examples.support.saved import compare, sentences
from examples.support.story import Answer, Load, closest_calls, confusion, per_class, surest_errors
from tests.unit.examples.sample import LABELS, sample_story

pytestmark = pytest.mark.unit


class Page(HTMLParser):
    """What a browser would fetch or run, whether tags nest, and what a reader reads."""

    EMPTY = ("meta", "link", "img", "br")

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.fetched: list[str] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.fetched += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href", "data")]
        assert not any(name.startswith("on") for name, _ in attrs)
        if tag not in self.EMPTY:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def test_one_file_that_fetches_nothing_and_runs_nothing() -> None:
    html = render(sample_story())
    page = Page(html)
    assert "script" not in page.tags
    assert page.fetched == []
    assert not re.search(r"url\(|@import|https?://", html)


def test_tells_what_the_run_saw() -> None:
    story = sample_story(iterations=12)
    said = Page(render(story)).text
    assert "Accuracy on the test split" in said
    assert f"{100 * story.accuracy:.1f} %" in said
    assert "Labels given 240 24 of them only for evaluation" in said
    assert "Predictions during the run 512 0 failed" in said
    assert "Swaps 12" in said
    for label in LABELS:
        assert label in said
    assert "v0012" in said
    assert "72 more labels would halve this interval" in said
    assert "Before the first label" in said
    assert "served after 24 s" in said
    assert "with a teacher" in said
    saved = compare(story.points, story.random)
    assert saved is not None
    for sentence in sentences(saved, len(story.answers)):
        assert sentence in said


def test_failures_are_not_hidden() -> None:
    story = replace(sample_story(), load=Load(sent=10, failed=("Unavailable: away",)))
    said = Page(render(story)).text
    assert "1 failed" in said
    assert "Unavailable: away" in said


def test_texts_are_escaped() -> None:
    evil = '<script>alert("x")</script> & </td>'
    story = sample_story()
    story = replace(
        story,
        status=story.status.model_copy(update={"labels": [*LABELS, "<b>"]}),
        answers=[Answer(evil, "<b>", "bug", 0.9, 0.8), *story.answers],
    )
    page = Page(render(story))
    assert "script" not in page.tags
    assert "b" not in page.tags
    assert 'alert("x")' in page.text


def test_a_run_without_anything_still_has_a_page() -> None:
    story = sample_story(iterations=1)
    nothing = replace(
        story,
        status=story.status.model_copy(update={"serving": None, "curve": [], "swaps": []}),
        points=[], random=[], zero_shot=None, load=Load(0),
    )  # fmt: skip
    assert "No version was served." in Page(render(nothing)).text


def test_per_class_figures_and_confusion() -> None:
    answers = [
        Answer("a", "billing", "billing", 0.9, 0.8),
        Answer("b", "billing", "bug", 0.8, 0.7),
        Answer("c", "bug", "bug", 0.6, 0.1),
    ]
    story = replace(sample_story(), answers=answers)
    billing, bug, login = (next(f for f in per_class(story) if f.label == x) for x in ("billing", "bug", "login"))
    assert (billing.precision, billing.recall, billing.support) == (1.0, 0.5, 2)
    assert (bug.precision, bug.recall, bug.support) == (0.5, 1.0, 1)
    assert (login.precision, login.recall, login.f1, login.support) == (0, 0, 0, 0)
    matrix = confusion(story)
    assert matrix[LABELS.index("billing")][LABELS.index("bug")] == 1
    assert sum(map(sum, matrix)) == 3
    assert story.accuracy == pytest.approx(2 / 3)
    assert [answer.text for answer in surest_errors(story)] == ["b"]
    assert [answer.text for answer in closest_calls(story, 2)] == ["c", "b"]


@pytest.mark.parametrize(("value", "said"), [(None, "–"), (0.421, "0.42 s"), (12.34, "12.3 s"), (245.4, "245 s")])
def test_seconds(value: float | None, said: str) -> None:
    assert seconds(value) == said


@given(st.floats(0, 1e6), st.floats(1e-3, 1e6), st.integers(2, 10))
def test_ticks_are_round_and_cover_the_range(low: float, width: float, about: int) -> None:
    found = chart.ticks(low, low + width, about)
    slack = 1e-6 * (low + width)
    assert found[0] <= low + slack
    assert found[-1] >= low + width - slack
    assert 2 <= len(found) <= about + 2


@given(st.lists(st.floats(0, 100), min_size=1, max_size=4))
def test_names_of_lines_do_not_overlap(wanted: list[float]) -> None:
    placed = chart.spread(wanted, apart=20, low=0, high=100)
    assert all(-1e-9 <= place <= 100 + 1e-9 for place in placed)
    order = sorted(placed)
    assert all(b - a >= 20 - 1e-9 for a, b in pairwise(order))
