"""What the reports have in common: HTML pages from templates, which show the texts of users as they are."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from tornio.visible import visible


def templates(*folders: Path) -> Environment:
    """Return the templates of these folders. All texts are escaped, and control characters in them are made visible."""
    return Environment(
        loader=FileSystemLoader(folders),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: visible(value) if type(value) is str else value,  # our drawings are Markup
        trim_blocks=True,
        lstrip_blocks=True,
    )
