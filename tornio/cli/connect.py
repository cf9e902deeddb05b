"""The client of a command, and the options that many commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, cast

import typer

from tornio.client import Client

OpenClient = Callable[[str | None], Client]

Context = typer.Context
TASK_NAME = "WORKSPACE/TASK"
"""How the help of every command calls the full name of a task."""
TASK_OR_WORKSPACE = "WORKSPACE[/TASK]"
Task = Annotated[str, typer.Argument(metavar=TASK_NAME, help="Full name of the task.", show_default=False)]
MaybeTask = Annotated[str | None, typer.Argument(metavar=TASK_NAME, help="Full name of the task.", show_default=False)]
Url = Annotated[str | None, typer.Option("--url", help="Address of the server.", show_default="TORNIO_URL")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON, for programs.")]

NoEscapeFormulas = Annotated[
    bool,
    typer.Option(
        "--no-escape-formulas",
        help="CSV and TSV: leave cells as they are that a spreadsheet would compute. Without this option they get an "
        "apostrophe in front, and the column 'escaped' names them, so that Tornio reads them back as they were.",
    ),
]


def connect(ctx: Context, url: str | None) -> Client:
    """Return the client that the command uses. Raises NotFound if the server's address is not known."""
    return cast(OpenClient, ctx.obj)(url)
