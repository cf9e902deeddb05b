"""The report of a score run: what it counts, and one page that needs nothing else and escapes everything."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from tests.unit.scoring.made import NAMES, labelled
from tornio.scoring.figures import by_label, confusion, disagreement, frequent_pairs, loss_histogram
from tornio.scoring.linear import in_sample
from tornio.scoring.measures import measure
from tornio.scoring.ranking import Precision, most_suspicious, suspicion
from tornio.scoring.report import ScoreReport, Suspect, render

pytestmark = pytest.mark.unit

GIVEN = np.eye(3, dtype=bool)[[0, 0, 1, 2, 2, 2]]
PREDICTED = np.eye(3, dtype=bool)[[0, 1, 1, 0, 0, 2]]
LOSSES = np.array([0.1, 2.0, 0.3, 3.0, 4.0, 0.2], dtype=np.float32)


class Page(HTMLParser):
    """What a browser would fetch or run, whether tags nest, and what a reader reads."""

    EMPTY = ("meta", "br")

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


def example(rows: int = 240) -> ScoreReport:
    made = labelled(rows)
    p = in_sample(made.vectors, made.given, False, c=1.0)
    known = measure(p, made.given, False)
    order = most_suspicious(suspicion("loss", p, made.given, False))
    names = np.array(NAMES, dtype=object)
    suspects = [
        Suspect(f"r{i}", made.texts[i], tuple(names[made.given[i]]), tuple(names[known.predicted[i]]), known.loss[i])
        for i in order[:60]
    ]
    return ScoreReport(
        data="data.csv", model="v0007", ranking="loss", labels=NAMES, multi_label=False, folds=0,
        losses=known.loss, given=made.given, predicted=known.predicted, suspects=suspects,
    )  # fmt: skip


def test_one_file_that_fetches_nothing_and_runs_nothing() -> None:
    html = render(replace(example(), reviewed=Precision(50, 20, 12), rejected={"no text": 3}))
    page = Page(html)
    assert "script" not in page.tags
    assert page.fetched == []
    assert not re.search(r"url\(|@import|https?://", html)


def test_tells_what_was_scored_reviewed_and_rejected() -> None:
    report = replace(
        example(),
        rejected={"the text is empty": 1200, "no label": 3},
        truncated=7,
        reviewed=Precision(50, 20, 12, 2, 1),
    )
    said = Page(render(report)).text
    assert "Rows scored 240 1,203 rejected , 7 texts cut" in said
    assert "12 of the 20 reviewed rows had a wrong label: 60.0 % (95 %: 38.7 % to 78.1 %)" in said
    assert "2 discarded, 1 disputed" in said
    assert "the text is empty 1,200 no label 3" in said
    assert "may have learned from these very rows" in said
    assert "The first 50, by loss" in said


def test_out_of_sample_is_said_and_the_ranking_is_explained() -> None:
    said = Page(render(replace(example(), ranking="pooled-loss", folds=5))).text
    assert "the other 4 of 5 folds" in said
    assert "may have learned from" not in said
    assert "nearest neighbours" in said


def test_everything_from_outside_is_escaped() -> None:
    evil = '<script>alert("x")</script> & </td>'
    labels = (evil, *NAMES[1:])
    report = replace(
        example(), data=evil, model=evil, labels=labels, rejected={evil: 1}, reviewed=Precision(1, 1, 1),
        suspects=[Suspect(evil, evil, (evil,), (evil,), 1.0, "changed", (evil,))],
    )  # fmt: skip
    for one in (report, replace(report, multi_label=True)):
        page = Page(render(one))
        assert "script" not in page.tags
        assert page.text.count('alert("x")') >= 8


def test_a_run_without_a_row_still_has_a_page() -> None:
    report = example()
    nothing = replace(report, losses=LOSSES[:0], given=GIVEN[:0], predicted=PREDICTED[:0], suspects=[])
    assert "No rows." in Page(render(nothing)).text
    assert "No row has been decided yet" in Page(render(replace(nothing, reviewed=Precision(5, 0, 0)))).text


def test_many_labels_are_told_by_their_most_frequent_pairs_and_several_labels_one_by_one() -> None:
    names = tuple(f"label{i}" for i in range(20))
    given = np.eye(20, dtype=bool)[np.arange(200) % 20]
    predicted = np.eye(20, dtype=bool)[np.where(np.arange(200) % 40 == 3, 7, np.arange(200) % 20)]
    report = replace(example(), labels=names, given=given, predicted=predicted, losses=np.ones(200, dtype=np.float32))
    assert "given predicted rows label3 label7 5" in Page(render(report)).text
    several = Page(render(replace(report, multi_label=True))).text
    assert "only predicted" in several
    assert "Given against predicted" not in several


def test_long_texts_are_cut() -> None:
    report = replace(example(), suspects=[Suspect("r", "word " * 1000, ("ant",), ("bee",), 1.0)])
    assert 100 < Page(render(report)).text.count("word ") < 200


def test_figures_by_label() -> None:
    ant, bee, cat = by_label(NAMES, LOSSES, GIVEN, PREDICTED)
    assert (ant.rows, ant.disagree, ant.only_predicted, ant.share) == (2, 1, 2, 0.5)
    assert (bee.rows, bee.disagree, bee.only_predicted) == (1, 0, 1)
    assert cat.mean_loss == pytest.approx(2.4)
    absent = np.zeros((6, 1), dtype=bool)
    (nobody,) = by_label(("dog",), LOSSES, absent, absent)
    assert (nobody.rows, nobody.share, nobody.mean_loss, nobody.high_loss) == (0, 0.0, 0.0, 0.0)


def test_confusion_and_its_most_frequent_pairs() -> None:
    counts = confusion(GIVEN, PREDICTED)
    assert counts.tolist() == [[1, 1, 0], [0, 1, 0], [2, 0, 1]]
    assert [(pair.given, pair.predicted, pair.rows) for pair in frequent_pairs(NAMES, counts, 5)] == [
        ("cat", "ant", 2),
        ("ant", "bee", 1),
    ]
    assert len(frequent_pairs(NAMES, counts, 1)) == 1


def test_every_row_is_in_one_bin() -> None:
    losses = np.random.default_rng(0).exponential(size=5000).astype(np.float32)
    losses[7] = 87.0
    bins = loss_histogram(losses, losses > 3)
    assert sum(b.rows for b in bins) == 5000
    assert sum(b.disagree for b in bins) == (losses > 3).sum()
    assert all(b.disagree <= b.rows for b in bins)
    assert bins[-1].high < 20
    assert disagreement(GIVEN, PREDICTED).tolist() == [False, True, False, True, True, False]
    assert sum(b.rows for b in loss_histogram(np.zeros(3, dtype=np.float32), np.zeros(3, dtype=bool))) == 3


def test_control_characters_are_visible() -> None:
    hostile = "</b>\x1b[2J\x00\x9b\u202eltr"
    suspect = Suspect(hostile, hostile, (hostile,), (hostile,), 1.0, hostile, (hostile,))
    report = replace(example(), data=hostile, model=hostile, suspects=[suspect], rejected={hostile: 1})
    report = replace(report, labels=(hostile, *report.labels[1:]), reviewed=Precision(5, 2, 1))
    page = render(report)
    assert r"</b>\u001b[2J\u0000\u009b\u202eltr" in Page(page).text
    assert not set(page) & set("\x1b\x00\x9b\u202e")


def test_rows_that_could_not_be_judged_are_counted_and_named() -> None:
    html = render(replace(example(), unjudged={"<rare>": 1, "odd": 2}))
    assert "3 rows have a label that no other text has" in html
    assert "&lt;rare&gt; (1)" in html
    assert "3 more could not be judged" in html
    assert "could not be judged" not in render(example())
