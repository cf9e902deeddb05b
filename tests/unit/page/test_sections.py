"""What the sections of a task's page show of what the API answers."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from services.gateway.callers import ANYBODY, Caller, Role
from services.gateway.page.gather import Choice, Part, TaskPage, gather
from services.gateway.page.rendering import written
from services.gateway.page.sections import changes, classes, curve, labels, sections, versions
from tests.unit.page import seeded
from tests.unit.page.seeded import ALL, NOW, Seeded, backend_of
from tornio.api import ChangedAnswer, TaskName
from tornio.errors import NotFound, Unavailable

pytestmark = pytest.mark.unit


def page_of(task: Seeded, caller: Caller = ANYBODY, **chosen: str) -> TaskPage:
    return asyncio.run(gather(backend_of(task), caller, task.name, Choice(**chosen), NOW))


def html_of(page: TaskPage, report: bool = False) -> str:
    return written("task/sections.html.j2", page=page, sections=list(sections(page)), report=report)


def names(page: TaskPage) -> list[str]:
    return [one.name for one in sections(page)]


@pytest.mark.parametrize("task", ALL)
def test_every_task_has_a_page(task: str) -> None:
    page = page_of(ALL[task]())
    html = html_of(page)
    assert not [one.trouble for one in sections(page) if one.trouble]
    assert "style=" not in html  # the policy of the page allows no style in it
    assert "<script" not in html


def test_a_task_without_anything_has_no_empty_sections() -> None:
    assert names(page_of(seeded.empty())) == ["standing", "curve", "batches", "labels", "versions"]


def test_a_busy_task_shows_everything() -> None:
    assert names(page_of(seeded.fifty())) == [
        "standing", "curve", "batches", "savings", "labels", "classes", "changes", "versions", "automatic", "drift",
        "suspicious", "runs", "swaps", "replicas",
    ]  # fmt: skip


def test_what_a_caller_may_not_see_is_absent() -> None:
    reader = Caller("reader", frozenset({"acme"}), Role.PREDICT)
    page = page_of(seeded.fifty(), reader)
    assert {"changes", "versions", "suspicious"}.isdisjoint(names(page))
    html = html_of(page)
    assert "Pace" not in html
    assert "charged me twice" not in html
    annotator = Caller("annotator", frozenset({"acme"}), Role.ANNOTATE)
    html = html_of(page_of(seeded.fifty(), annotator))
    assert "Pace" in html
    assert "charged me twice" not in html


def test_a_part_that_cannot_be_read_says_so_and_the_others_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = backend_of(seeded.fifty())

    async def away(*_: Any) -> Any:
        raise Unavailable("the bucket does not answer")

    monkeypatch.setattr(backend, "versions", away)
    monkeypatch.setattr(backend, "annotators", away)
    page = asyncio.run(gather(backend, ANYBODY, TaskName("acme", "support"), now=NOW))
    troubled = {one.name for one in sections(page) if one.trouble}
    assert troubled == {"changes", "versions"}
    html = html_of(page)
    assert html.count("This part cannot be read now: the bucket does not answer") == 2
    assert "The annotators cannot be read now: the bucket does not answer" in html
    assert "Most suspicious labels" in html


def test_without_the_status_the_runs_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = backend_of(seeded.fifty())

    async def away(_: TaskName) -> Any:
        raise Unavailable("the bucket does not answer")

    monkeypatch.setattr(backend, "status", away)
    page = asyncio.run(gather(backend, ANYBODY, TaskName("acme", "support"), now=NOW))
    shown = {one.name for one in sections(page) if one.trouble is None}
    assert shown == {"savings", "changes", "versions", "suspicious", "runs"}


def test_an_unknown_task_has_no_page() -> None:
    with pytest.raises(NotFound):
        asyncio.run(gather(backend_of(), ANYBODY, TaskName("acme", "none")))


def test_the_imported_test_set_is_told_apart_wherever_scores_are() -> None:
    page = page_of(seeded.fifty())
    for one in sections(page):
        if one.name in ("standing", "curve", "classes", "versions"):
            html = written("task/sections.html.j2", page=page, sections=[one], report=False).lower()
            assert "your imported test set" in html, one.name
            assert "annotators&#39; hold-out" in html, one.name
    alone = page_of(seeded.several_labels())
    assert curve.show(alone).keys == []
    drawn = curve.show(page_of(seeded.arabic()))
    assert "annotators&#x27; hold-out ends at" in str(drawn.chart)


def test_texts_are_shown_as_they_are() -> None:
    html = html_of(page_of(seeded.fifty()))
    assert "&lt;b&gt;markup&lt;/b&gt;" in html
    assert "\\u001b[31mcharacters" in html
    assert "\\u200f" in html
    assert "\x1b" not in html
    assert "Zoë &lt;i&gt;" in html
    assert '<details class="said"><summary dir="auto">A long text.' in html


def test_a_report_has_no_forms_and_no_links() -> None:
    html = html_of(page_of(seeded.fifty()), report=True)
    assert "<form" not in html
    assert "href=" not in html


def test_the_worst_labels_and_the_most_confused_pairs_come_first() -> None:
    found = classes.show(page_of(seeded.many_labels()))
    assert found is not None
    judged = [row.f1 for row in found.rows if row.support]
    assert judged == sorted(judged)
    assert [row.support for row in found.rows[len(judged) :]] == [0] * found.unseen
    assert [pair.count for pair in found.pairs] == sorted((pair.count for pair in found.pairs), reverse=True)
    assert (len(found.matrix), found.small) == (150, False)
    assert all(row.cells.count("<td") == 150 for row in found.matrix)


def test_the_rows_of_the_matrix_are_those_of_their_labels() -> None:
    """Stored documents have the figures of the labels in alphabetical order, and the counts in that of the task."""
    page = page_of(seeded.fifty())
    found = classes.show(page)
    assert found is not None
    assert [row.label for row in found.matrix] == list(seeded.SUPPORT) != sorted(seeded.SUPPORT)
    counted = {row.label: sum(map(int, re.findall(r">(\d+)<", row.cells))) for row in found.matrix}
    assert counted == {row.label: row.support for row in found.rows}


def test_a_confusion_whose_order_was_not_stored_is_not_shown() -> None:
    page = page_of(seeded.fifty())
    metrics = page.stands.get().metrics
    assert metrics is not None
    del metrics.values["labels"]
    found = classes.show(page)
    assert found is not None
    assert (found.matrix, found.pairs, len(found.rows)) == ([], [], len(seeded.SUPPORT))


def test_several_labels_a_text_have_no_confusion_matrix() -> None:
    page = page_of(seeded.several_labels())
    found = classes.show(page)
    assert found is not None
    assert (found.matrix, found.pairs) == ([], [])
    assert "Exact match" in html_of(page)


def test_automatic_labels_are_told_apart() -> None:
    found = labels.show(page_of(seeded.fifty()))
    assert [(row.label, row.automatic) for row in found.rows if row.automatic] == [("billing", 60), ("praise", 12)]
    assert 'class="also"' in found.rows[0].bar
    assert 'class="also"' not in found.rows[1].bar


def test_attention_stands_out() -> None:
    html = html_of(page_of(seeded.in_attention()))
    assert '<p class="notice bad"><strong>Attention:</strong> 3 versions in a row were refused; the hold-out' in html
    assert "rolled back by ada" in html
    assert "no answer within 5 s" in html


def changed(record: str, before: str, after: str, label: str = "a") -> ChangedAnswer:
    return ChangedAnswer(record_id=record, text=record, label=[label], before=[before], after=[after])


def history(*steps: tuple[str, str | None, list[ChangedAnswer]]) -> TaskPage:
    """A task whose versions, oldest first, were each compared with one before."""
    task = seeded.fifty()
    template = task.versions[0]
    found = [
        template.model_copy(update={"version": name, "compared_with": base, "changed": answers})
        for name, base, answers in steps
    ]
    return page_of(Seeded(task.status, found[::-1]))


def compare(page: TaskPage, before: str, after: str) -> dict[str, tuple[list[str], list[str], str]]:
    chosen = TaskPage(
        page.task, NOW, page.stands, page.runs, page.simulation, page.annotators, page.versions, page.suspicious,
        Choice(before, after),
    )  # fmt: skip
    found = changes.show(chosen)
    assert found is not None
    assert found.why_not is None
    return {one.answer.record_id: (one.answer.before, one.answer.after, one.verdict) for one in found.differences}


def test_two_versions_are_compared_through_those_in_between() -> None:
    page = history(
        ("v1", None, []),
        ("v2", "v1", [changed("r1", "b", "a"), changed("r2", "a", "b"), changed("r3", "b", "c")]),
        ("v3", "v2", [changed("r2", "b", "a"), changed("r4", "a", "c"), changed("r3", "c", "d")]),
        ("w3", "v2", [changed("r4", "a", "b"), changed("r1", "a", "b")]),
    )
    assert compare(page, "v1", "v2") == {
        "r1": (["b"], ["a"], "better"), "r2": (["a"], ["b"], "worse"), "r3": (["b"], ["c"], "other"),
    }  # fmt: skip
    assert compare(page, "v1", "v3") == {
        "r1": (["b"], ["a"], "better"), "r3": (["b"], ["d"], "other"), "r4": (["a"], ["c"], "worse"),
    }  # fmt: skip
    turned = {name: (after, before) for name, (before, after, _) in compare(page, "v1", "v3").items()}
    assert {name: one[:2] for name, one in compare(page, "v3", "v1").items()} == turned
    assert compare(page, "v3", "w3") == {
        "r1": (["a"], ["b"], "worse"), "r2": (["a"], ["b"], "worse"), "r3": (["d"], ["c"], "other"),
        "r4": (["c"], ["b"], "other"),
    }  # fmt: skip


def test_what_cannot_be_compared_says_why() -> None:
    page = history(("v1", None, []), ("x1", None, []), ("v2", "v1", [changed("r1", "b", "a")]))
    for before, after, why in (("x1", "v2", "never compared"), ("v2", "v2", "two different")):
        chosen = TaskPage(page.task, NOW, page.stands, page.runs, page.simulation, page.annotators, page.versions,
                          page.suspicious, Choice(before, after))  # fmt: skip
        found = changes.show(chosen)
        assert found is not None
        assert why in (found.why_not or "")
    default = changes.show(page)
    assert default is not None
    assert (default.before, default.after) == ("v1", "v2")
    assert changes.show(history(("v1", None, []))) is None


def test_versions_that_nobody_judged_have_no_bar() -> None:
    task = seeded.fifty()
    unjudged = task.versions[0].model_copy(update={"accuracy": None, "sources": {}})
    page = page_of(Seeded(task.status, [unjudged]))
    found = versions.show(page)
    assert found is not None
    assert (found.rows[0].bar, found.rows[0].scores) == (None, [])
    assert Part(value=None).get() is None
