"""What an annotator sees and does in Argilla, and that the loop sees it too. Screenshots stay in the test's folder."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.annotating import Annotator, Shown, whole_batch
from tests.running import LABELS, Running, messages, spec, until
from tornio.api import RecordIn

pytestmark = pytest.mark.ui

TASK = "shop/seen"


def test_an_annotator_answers_and_the_loop_sees_it(tornio_up: Running, page: Page, tmp_path: Path) -> None:
    client = tornio_up.client
    client.apply(spec("seen", guidelines="What does the customer want **most**?"))
    client.add_records(TASK, [RecordIn(record_id=i, text=text) for i, (text, _) in messages(40).items()])
    with Annotator(tornio_up.addresses, "shop", "grace") as grace:
        pending = {record.text: record for record in whole_batch(tornio_up.client, grace, TASK)}
        log_in(page, tornio_up.addresses.argilla_url, grace)
        page.screenshot(path=tmp_path / "1-home.png")
        page.get_by_text("seen", exact=True).click()
        expect(shown(page)).to_be_visible()  # the dataset's page has its own address from now on

        # Hold-out comes bare: nothing leads an answer that judges.
        bare = turn_to(page, pending, suggested=False)
        page.screenshot(path=tmp_path / "2-holdout.png")
        expect(checked(page)).to_have_count(0)
        expect(page.get_by_role("button", name="Submit")).to_be_disabled()

        # A record that a strategy picked shows what the model thinks.
        record = turn_to(page, pending, suggested=True)
        page.screenshot(path=tmp_path / "3-suggestion.png")
        assert record.suggestion is not None
        expect(checked(page)).to_have_attribute("name", record.suggestion["value"])

        # Another label is right, says the annotator.
        answer = next(label for label in LABELS if label != record.suggestion["value"])
        page.locator(f"label[for=label_{answer}]").click()
        expect(checked(page)).to_have_attribute("name", answer)
        page.wait_for_timeout(500)  # colours fade
        page.screenshot(path=tmp_path / "4-answer.png")
        page.get_by_role("button", name="Submit").click()
        expect(page.locator(".status-counter__counter")).to_have_text("1")  # submitted, says the page
        page.screenshot(path=tmp_path / "5-submitted.png")
        until(lambda: client.status(TASK).batches[0].answered == 1, "the loop sees one answer")
        assert {one.record_id for one in grace.pending("seen")} == {
            one.record_id for one in pending.values() if one != record
        }
    said = [(one.record_id, one.labels, one.purpose, one.source) for one in client.labels(TASK)]
    assert said == [(record.record_id, [answer], "query", "answer")]
    assert bare.record_id != record.record_id


def log_in(page: Page, url: str, who: Annotator) -> None:
    page.goto(url)
    page.locator("input[name=Username]").fill(who.name)
    page.locator("input[name=Password]").fill(who.password)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("Your datasets")).to_be_visible()


def turn_to(page: Page, records: dict[str, Shown], *, suggested: bool) -> Shown:
    """Page through from the first, in whatever order they come, until one with, or without, a suggestion is shown."""
    page.goto(re.sub(r"page=\d+", "page=1", page.url))
    text = ""
    for _ in records:
        text = until(lambda: text_shown(page, records, other_than=text), "the next record is on the page")  # noqa: B023
        if (records[text].suggestion is not None) == suggested:
            return records[text]
        page.get_by_label("Next (→)").click()
    raise AssertionError(f"no record with suggested={suggested}")


def text_shown(page: Page, records: dict[str, Shown], other_than: str) -> str | None:
    """The text of the record on the page, once it is there: the page is empty for a moment."""
    text = shown(page).inner_text().strip()
    return text if text in records and text != other_than else None


def shown(page: Page) -> Locator:
    """The text of the record on the page."""
    return page.locator("[id^=fields-content]")


def checked(page: Page) -> Locator:
    return page.get_by_label("Label-Options").locator("input:checked")
