"""The page of a task as one file, which loads nothing and runs nothing."""

from __future__ import annotations

from markupsafe import Markup

from services.gateway.page.assets import content
from services.gateway.page.gather import TaskPage
from services.gateway.page.rendering import written
from services.gateway.page.sections import sections

STYLES = ("page.css", "task.css")


def report(page: TaskPage) -> str:
    """Return the page as HTML, with its style in it and without forms, scripts and links to other hosts."""
    style = Markup("\n").join(map(content, STYLES))
    return written("report.html.j2", page=page, sections=list(sections(page)), report=True, style=style)
