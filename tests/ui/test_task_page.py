"""The page of a task in a browser, for tasks that have nothing, much, many labels, several a text, Arabic, trouble."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.ui.served_page import served_page
from tests.unit.page.seeded import ALL, backend_of

pytestmark = pytest.mark.ui

PHONE = {"width": 360, "height": 740}


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A server without keys, whose reader may see everything."""
    with served_page(backend_of(*(make() for make in ALL.values())), keys="[]") as address:
        yield address


def path_of(task: str) -> str:
    return f"/tasks/{ALL[task]().name}"


def barriers(page: Page) -> str:
    """Return what axe finds wrong with a page, empty if nothing."""
    results = Axe().run(page)
    return str(results.generate_report()) if results.violations_count else ""


def open_everything(page: Page) -> None:
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })")


@pytest.mark.parametrize("task", ALL)
def test_no_task_has_barriers_in_light_and_dark(page: Page, address: str, task: str, tmp_path: Path) -> None:
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        page.goto(address + path_of(task))
        page.screenshot(path=tmp_path / f"{scheme}.png", full_page=True)
        if task != "150 labels":  # axe takes minutes for each of 22,500 cells
            open_everything(page)
        assert not barriers(page), scheme


@pytest.mark.parametrize("task", ALL)
def test_a_phone_never_scrolls_sideways(page: Page, address: str, task: str, tmp_path: Path) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    page.goto(address + path_of(task))
    page.screenshot(path=tmp_path / "phone.png", full_page=True)
    open_everything(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_nothing_on_the_page_is_refused_by_its_policy(page: Page, address: str) -> None:
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    for task in ALL:
        page.goto(address + path_of(task))
    assert said == []


def test_the_keyboard_alone_opens_a_table_scrolls_it_and_compares_two_versions(page: Page, address: str) -> None:
    page.goto(address + path_of("50 iterations"))
    summary = page.get_by_text("All iterations as a table")
    summary.focus()
    page.keyboard.press("Enter")
    table = page.get_by_role("group", name="All iterations")
    expect(table).to_be_visible()
    page.keyboard.press("Tab")
    expect(table).to_be_focused()
    last = table.get_by_role("row").last
    expect(last).not_to_be_in_viewport()
    page.keyboard.press("End")
    expect(last).to_be_in_viewport()
    before = page.get_by_label("From", exact=True)
    before.focus()
    page.keyboard.type("g1-v0047")
    page.keyboard.press("Tab")
    expect(page.get_by_label("to", exact=True)).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**/tasks/acme/support?before=g1-v0047&after=g1-v0050*")
    expect(page.get_by_text("From g1-v0047 to g1-v0050")).to_be_visible()
    expect(page.get_by_text("compared through g1-v0049, g1-v0048")).to_be_visible()


def test_a_chart_has_its_numbers_in_words_and_in_a_table(page: Page, address: str) -> None:
    page.goto(address + path_of("50 iterations"))
    expect(page.get_by_role("img", name="Accuracy over labels that train")).to_be_visible()
    expect(page.get_by_role("img", name="Signal of kappa-average")).to_be_visible()
    page.get_by_text("All iterations as a table").click()
    expect(page.get_by_role("group", name="All iterations").get_by_role("row")).to_have_count(51)


def test_arabic_runs_from_right_to_left(page: Page, address: str) -> None:
    page.goto(address + path_of("arabic"))
    text = page.locator("#changes ~ .scroll .said, .section.changes .said").first
    assert text.evaluate("(one) => getComputedStyle(one).direction") == "rtl"
    mixed = page.get_by_text("Order 1234 arrived").first
    assert mixed.evaluate("(one) => getComputedStyle(one).unicodeBidi") == "isolate"


def test_attention_is_seen_without_scrolling(page: Page, address: str) -> None:
    page.goto(address + path_of("attention"))
    notice = page.get_by_text("Attention:", exact=False).first
    expect(notice).to_be_in_viewport()


def test_a_report_is_one_file_that_asks_nobody_for_anything(
    browser: Browser, page: Page, address: str, tmp_path: Path
) -> None:
    answer = page.request.get(f"{address}/v1/tasks/acme/support/report")
    file = tmp_path / "report.html"
    file.write_bytes(answer.body())
    context = browser.new_context(viewport={"width": 1280, "height": 800}, offline=True)
    try:
        asked: list[str] = []
        said: list[str] = []
        shown = context.new_page()
        shown.on("request", lambda request: asked.append(request.url))
        shown.on("console", lambda message: said.append(message.text))
        shown.goto(file.as_uri())
        expect(shown.get_by_role("heading", name="acme/support")).to_be_visible()
        expect(shown.get_by_role("img", name="Accuracy over labels that train")).to_be_visible()
        assert asked == [file.as_uri()]
        assert said == []
        assert shown.locator("form, script, a").count() == 0
        assert shown.evaluate("getComputedStyle(document.querySelector('.section.curve')).borderTopWidth") == "1px"
        assert not barriers(shown)
        shown.set_viewport_size({"width": 360, "height": 740})
        assert shown.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        shown.screenshot(path=tmp_path / "report.png", full_page=True)
    finally:
        context.close()
