"""Argilla's page shows the tags of texts, labels and guidelines as they are, and runs none of their scripts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from services.embedded.argilla_users import ArgillaUser, ensure_user
from tests.contract.annotation_stages import DATASET, ArgillaServerUnderTest, argilla
from tests.running import until
from tornio.annotation.argilla import ArgillaTool
from tornio.annotation.port import DatasetSpec, FieldSpec, OutgoingRecord
from tornio.records import Purpose, Suggestion
from tornio.spec import LabelSpec

pytestmark = pytest.mark.ui

RUNS = "<img src=x onerror=\"document.title='it ran'\">"
TEXTS = (
    f"Hello {RUNS} & good bye",
    f"<b>bold</b> {RUNS}",  # Argilla takes a text with a closed tag for HTML, and shows it in a frame
    "a < b &amp; c > d &lt;i&gt;",
)
LABELS = (f"<b>{RUNS}</b>", "<i>calm</i>")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ArgillaServerUnderTest]:
    with argilla(tmp_path_factory.mktemp("argilla")) as server:
        yield server


@pytest.fixture
def ann(server: ArgillaServerUnderTest) -> ArgillaUser:
    return ensure_user(server.url, server.api_key, "ann", workspaces=("team",), password="the password of ann")


@pytest.mark.parametrize("text", TEXTS)
def test_markup_is_shown_and_never_runs(
    server: ArgillaServerUnderTest, ann: ArgillaUser, page: Page, tmp_path: Path, text: str
) -> None:
    labels = tuple(LabelSpec(name=name, description=f"What is {RUNS}?") for name in LABELS)
    fields = (FieldSpec("given", "Given label"),)
    with ArgillaTool(server.url, server.api_key) as tool:
        tool.delete_dataset("team", DATASET)
        tool.ensure_dataset(DatasetSpec("team", DATASET, labels, False, f"**Read** {RUNS} and `<b>`.", 1, fields))
        suggestion = Suggestion((LABELS[1],), (0.75,), "v1")
        tool.log(
            "team",
            DATASET,
            [OutgoingRecord("r1", text, "b1", Purpose.QUERY, suggestion, 0.5, "v1", fields={"given": LABELS[0]})],
        )
        address = tool.page("team", DATASET, "uncertainty").split("&sort")[0]
        page.goto(server.url)
        page.locator("input[name=Username]").fill(ann.username)
        page.locator("input[name=Password]").fill(ann.password)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_text("Your datasets")).to_be_visible()
        page.goto(address)
        shown = page.locator("[id^=fields-content]")
        expect(shown).to_have_count(2)
        until(lambda: [one.strip() for one in shown.all_inner_texts()] == [text, LABELS[0]], "both texts are shown")
        options = page.get_by_label("Label-Options")
        for name in LABELS:
            expect(options.get_by_text(name, exact=True)).to_be_visible()
        page.screenshot(path=tmp_path / "record.png")
        page.get_by_text("Guidelines", exact=False).first.click()
        guidelines = page.locator(".markdown-render")
        expect(guidelines).to_have_text(f"Read {RUNS} and <b>.")
        expect(guidelines.locator("strong")).to_have_text("Read")
        page.screenshot(path=tmp_path / "guidelines.png")
        options.get_by_text(LABELS[0], exact=True).click()
        page.get_by_role("button", name="Submit").click()
        expect(page.locator(".status-counter__counter")).to_have_text("1")
        assert page.title() != "it ran"
        assert page.locator("img[src=x]").count() == 0
        assert [r.labels for r in tool.read("team", DATASET, ["r1"])[0].responses] == [(LABELS[0],)]
