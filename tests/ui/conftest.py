"""A whole Tornio, and a browser that looks at it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.running import Running, running

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
"""It asks nobody for anything: what a page shows, it shows from this machine."""


PATIENCE_MS = 60_000
"""Of clicks and of expectations, whose own default is 5 s: machines are shared and slow at times."""
expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="session")
def tornio_up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("tornio")) as up:
        yield up


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The system's Chromium; `make chromium` installs it."""
    found = next(filter(None, map(shutil.which, CHROMIUM)), None)
    assert found, "no Chromium on the search path: make chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=list(FLAGS), env={**os.environ})
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A fresh session in a window of a laptop's size; requests to anywhere else are refused at once."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.route(lambda url: "://127.0.0.1:" not in url, lambda route: route.abort())
    context.set_default_timeout(PATIENCE_MS)
    yield context.new_page()
    context.close()
