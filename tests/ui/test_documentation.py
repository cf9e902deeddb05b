"""The documentation as a web site: it asks no other host for anything, fits a phone, and finds words."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

pytestmark = pytest.mark.ui

ROOT = Path(__file__).parents[2]
PHONE = 390
PAGES = ("README.html", "docs/README.html", "docs/tutorial.html", "docs/task-yaml.html", "docs/architecture.html")


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a fresh build. Warnings are errors, as in `make docs`."""
    built = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-c", "docs", "-d", str(built / "doctrees")]
    subprocess.run([*command, ".", str(built / "html")], cwd=ROOT, check=True, timeout=300)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(built / "html")))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_pages_fit_a_phone_and_load_nothing_from_elsewhere(browser: Browser, site: str, colours: str) -> None:
    asked: list[str] = []
    with browser.new_context(viewport={"width": PHONE, "height": 844}, color_scheme=colours) as context:  # type: ignore[arg-type]
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        for name in PAGES:
            answer = page.goto(f"{site}/{name}")
            assert answer is not None
            assert answer.ok, name
            assert page.evaluate("document.documentElement.scrollWidth") <= PHONE, name
    assert len(asked) > len(PAGES), "styles and scripts were asked for"
    assert [url for url in asked if not url.startswith((site, "data:"))] == []


def test_the_front_page_leads_to_the_index_and_search_finds_a_setting(browser: Browser, site: str) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(site)
        expect(page.get_by_role("heading", level=1)).to_contain_text("Documentation")
        page.get_by_placeholder("Search").fill("TORNIO_S3_BUCKET")
        page.keyboard.press("Enter")
        expect(
            page.locator("#search-results").get_by_role("link", name="Settings of a deployment").first
        ).to_be_visible()
