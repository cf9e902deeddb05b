"""The web page in a browser: with the keyboard alone, on a phone, in light and dark, and while a task changes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.ui.served_page import seeded, served_page
from tests.unit.gateway.fake import OPERATOR, FakeBackend
from tornio.api import AsksStatus, TaskName

pytestmark = pytest.mark.ui

REVIEWS = TaskName("acme", "reviews")
PATHS = ("/", "/tasks/acme/reviews", "/tasks/acme/empty", "/tasks/acme/reviews/rollback", "/tasks/acme/missing")
PHONE = {"width": 360, "height": 740}


@pytest.fixture
def backend() -> FakeBackend:
    return seeded()


@pytest.fixture
def address(backend: FakeBackend) -> Iterator[str]:
    with served_page(backend) as address:
        yield address


def log_in(page: Page, address: str) -> None:
    page.goto(address)
    page.get_by_label("API key").fill(OPERATOR)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Tasks")).to_be_visible()


def barriers(page: Page) -> str:
    """Return what axe finds wrong with a page, empty if nothing."""
    results = Axe().run(page)
    return str(results.generate_report()) if results.violations_count else ""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_view_has_barriers(page: Page, address: str, scheme: str) -> None:
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.goto(f"{address}/login")
    assert not barriers(page)
    log_in(page, address)
    for path in PATHS:
        page.goto(address + path)
        assert not barriers(page), path
    page.goto(f"{address}/tasks/acme/reviews/try")
    page.get_by_label("Text", exact=True).fill("The lid does not close.")
    page.get_by_role("button", name="Classify").click()
    expect(page.get_by_text("75.0 %").first).to_be_visible()
    assert not barriers(page)


def test_a_phone_never_scrolls_sideways(page: Page, address: str) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    log_in(page, address)
    for path in PATHS:
        page.goto(address + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], path


def focused(page: Page) -> str:
    return str(page.evaluate("document.activeElement.innerText || document.activeElement.name || ''")).strip()


def tab_to(page: Page, name: str) -> None:
    for _ in range(30):
        page.keyboard.press("Tab")
        if focused(page) == name:
            outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert outline != "none", f"{name} does not show that it has the focus"
            return
    raise AssertionError(f"the keyboard never reaches {name!r}")


def test_the_keyboard_alone_logs_in_opens_a_task_acts_and_logs_out(
    page: Page, address: str, backend: FakeBackend
) -> None:
    page.goto(address)
    page.keyboard.type(OPERATOR)  # the field has the focus
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Tasks")).to_be_visible()
    page.keyboard.press("Tab")
    assert focused(page) == "Skip to the content"
    tab_to(page, "reviews")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="reviews")).to_be_visible()
    tab_to(page, "Pause")
    page.keyboard.press("Enter")
    expect(page.get_by_text("The task is paused.")).to_be_visible()
    assert backend.held[REVIEWS].asks.paused
    tab_to(page, "Log out")
    page.keyboard.press("Enter")
    expect(page.get_by_text("You are logged out.")).to_be_visible()


def test_an_open_page_shows_a_change_and_keeps_what_somebody_writes(
    page: Page, address: str, backend: FakeBackend
) -> None:
    log_in(page, address)
    page.goto(f"{address}/tasks/acme/reviews")
    text = page.get_by_label("Text", exact=True)
    text.fill("half a sen")
    backend.held[REVIEWS].asks = AsksStatus(paused=True)
    expect(page.get_by_role("button", name="Resume")).to_be_visible()
    expect(page.locator(".phase .badge")).to_have_text("paused")
    expect(text).to_have_value("half a sen")
    expect(text).to_be_focused()


def test_a_tried_text_is_answered_in_place(page: Page, address: str) -> None:
    log_in(page, address)
    page.goto(f"{address}/tasks/acme/reviews")
    page.get_by_label("Text", exact=True).fill("مرحبا <b>")
    page.get_by_role("button", name="Classify").click()
    expect(page.get_by_text("75.0 %").first).to_be_visible()
    expect(page).to_have_url(f"{address}/tasks/acme/reviews")
    expect(page.get_by_label("Text", exact=True)).to_have_value("مرحبا <b>")


def test_everything_but_news_works_without_scripts(browser: Browser, address: str, backend: FakeBackend) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    log_in(page, address)
    page.get_by_role("link", name="reviews").click()
    page.get_by_label("Text", exact=True).fill("The lid does not close.")
    page.get_by_role("button", name="Classify").click()
    expect(page.get_by_text("75.0 %").first).to_be_visible()
    page.goto(f"{address}/tasks/acme/reviews")
    page.get_by_role("link", name="Roll back").click()
    page.get_by_role("button", name="Roll back to").click()
    expect(page.get_by_text("The version that served before serves again.")).to_be_visible()
    assert "rollback by operator" in backend.calls
    context.close()


def test_nothing_is_loaded_from_elsewhere_and_nothing_is_refused(page: Page, address: str) -> None:
    asked, said = list[str](), list[str]()
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    log_in(page, address)
    page.goto(f"{address}/tasks/acme/reviews")
    expect(page.get_by_role("heading", name="reviews")).to_be_visible()
    assert not [url for url in asked if not url.startswith(address)]
    assert not said
