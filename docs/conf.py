"""Build the documentation as a web site: ``make docs`` runs Sphinx with this configuration on the whole repository.

The pages stay readable on GitHub: they are plain Markdown with relative links. The navigation follows the lists of
``docs/README.md``. Every broken link or anchor within the site is an error. The site loads nothing from other hosts.
"""

from __future__ import annotations

import re
from pathlib import Path

from sphinx.application import Sphinx

import tornio

ROOT = Path(__file__).parent.parent

project = "Tornio"
release = tornio.__version__
extensions = ["myst_parser"]
root_doc = "docs/README"
source_suffix = {".md": "markdown"}
# Only the pages: Sphinx would otherwise look into environments and caches too.
exclude_patterns = [one.name for one in ROOT.iterdir() if one.is_dir() and one.name != "docs"]
nitpicky = True

myst_heading_anchors = 4
"""Headings down to this level can be linked to, under the names that GitHub gives them."""
myst_links_external_new_tab = False

html_theme = "furo"
html_title = f"Tornio {release}"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False

_HEADING = re.compile(r"^## (.+)$", re.M)
_ENTRY = re.compile(r"^- \[([^]]+)\]\(([^)#:]+)\.md\)", re.M)


def navigation(index: str) -> str:
    """Return the navigation of the site, as MyST: one group for each section of the index, with its linked pages."""
    parts = _HEADING.split(index)[1:]
    trees = []
    for caption, body in zip(parts[::2], parts[1::2], strict=True):
        pages = "\n".join(f"{title} <{page}>" for title, page in _ENTRY.findall(body))
        trees.append(f"```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{pages}\n```\n")
    return "\n".join(trees)


def _add_navigation(_: Sphinx, page: str, source: list[str]) -> None:
    if page == root_doc:
        source[0] += "\n" + navigation(source[0])


def _add_front_page(app: Sphinx, error: Exception | None) -> None:
    """Let the address of the site itself lead to the index."""
    if error is None:
        target = f'<meta http-equiv="refresh" content="0; url={root_doc}.html">'
        (app.outdir / "index.html").write_text(
            f'<!doctype html><html lang="en"><head><meta charset="utf-8">{target}<title>Tornio</title></head>'
            f'<body><a href="{root_doc}.html">Documentation of Tornio</a></body></html>\n',
            "utf-8",
        )


def setup(app: Sphinx) -> None:
    app.connect("source-read", _add_navigation)
    app.connect("build-finished", _add_front_page)
