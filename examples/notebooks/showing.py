"""Show a page of Tornio in a notebook: the report of a run, or of a task.

The notebooks import it from the folder in which they are: ``from showing import page``.
"""

from __future__ import annotations

from html import escape

from IPython.display import HTML


def page(html: str, height: int) -> HTML:
    """Return a frame of its own for a page, so that the style sheets of page and notebook leave each other alone.

    ``html``: the whole page. ``height``: of the frame, in pixels. The page may not run scripts.
    """
    frame = f'<iframe srcdoc="{escape(html)}" width="100%" height="{height}" style="border: 0" sandbox></iframe>'
    return HTML(f"<div>{frame}</div>")  # type: ignore[no-untyped-call]
