"""Links to other hosts are well formed. `make docs` checks all links within the site."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest

from docs import generate

pytestmark = pytest.mark.unit

ROOT = generate.HERE.parent
LINK = re.compile(r"\]\((\w+:[^)\s]*)\)?")


def test_links_to_other_hosts_are_complete_addresses() -> None:
    pages = [*ROOT.glob("*.md"), *generate.HERE.rglob("*.md")]
    links = [(page.name, link) for page in pages for link in LINK.findall(page.read_text("utf-8"))]
    assert links
    for page, link in links:
        parts = urlsplit(link)
        assert parts.scheme in ("https", "mailto"), f"{page}: {link}"
        assert parts.scheme == "mailto" or re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+", parts.netloc), f"{page}: {link}"
