"""From a command's context and options to a client and a screen; the options that many commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, cast

import typer

from tornio.client import Client

OpenClient = Callable[[str | None], Client]

Context = typer.Context
Task = Annotated[str, typer.Argument(metavar="WORKSPACE/TASK", help="The task's full name.", show_default=False)]
Url = Annotated[str | None, typer.Option("--url", help="Address of the server.", show_default="TORNIO_URL")]
Json = Annotated[bool, typer.Option("--json", help="Answer in JSON, for programs.")]


def connect(ctx: Context, url: str | None) -> Client:
    """The client that the command talks through. Raises NotFound where nothing says where the server is."""
    return cast(OpenClient, ctx.obj)(url)
