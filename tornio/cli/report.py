"""``tornio report``: how a task stands, as one HTML file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tornio.cli import screen
from tornio.cli.connect import Context, Json, Task, Url, connect
from tornio.files.whole import check_folder, writing


def report(
    ctx: Context,
    task: Task,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="HTML file to write. It replaces one of this name.")
    ] = Path("report.html"),
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Write how a task stands as one HTML file: what its web page shows, for people who have no key.

    The file loads nothing and runs no script. It contains texts of the task. The key needs the role 'operate'.
    """
    check_folder(output)
    with connect(ctx, url) as client:
        page = client.report(task)
    with writing(output) as part:
        part.write_text(page, encoding="utf-8")
    if as_json:
        screen.dump({"task": task, "path": str(output)})
    else:
        screen.say(f"wrote {output}: open it in a browser")
