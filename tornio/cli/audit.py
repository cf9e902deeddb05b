"""``tornio audit``: who did what in a workspace."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Annotated

import typer

from tornio.api import AuditEventOut
from tornio.cli import screen
from tornio.cli.connect import TASK_OR_WORKSPACE, Context, Json, Url, connect
from tornio.cli.screen import RenderableType, Text, table

_COLOURS = {"done": "green", "refused": "yellow", "failed": "red"}


def register(app: typer.Typer) -> None:
    app.command("audit")(audit)


def audit(
    ctx: Context,
    where: Annotated[
        str, typer.Argument(metavar=TASK_OR_WORKSPACE, help="The workspace, or one of its tasks.", show_default=False)
    ],
    most: Annotated[int, typer.Option(min=1, max=100_000, help="Show at most this many acts.")] = 50,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Show who did what, newest first: changes, imports, exports, deletions, rollbacks, runs.

    It needs a key that may operate the workspace.
    """
    workspace, _, task = where.partition("/")
    with connect(ctx, url) as client:
        events = list(islice(client.audit(workspace, task or None), most))
    if as_json:
        screen.dump(events)
    elif events:
        screen.show(audit_view(events))
    else:
        screen.say(f"Nobody has done anything in {where} since the audit log exists.")


def audit_view(events: Sequence[AuditEventOut]) -> RenderableType:
    return table(("=time (UTC)", "=key", "=act", "=task", "=outcome", "=detail"), map(_row, events))


def _row(event: AuditEventOut) -> tuple[str | Text, ...]:
    outcome = event.outcome if event.error is None else f"{event.outcome}: {event.error}"
    detail = ", ".join(f"{name} {value}" for name, value in sorted(event.detail.items()) if value is not None)
    shown = Text(outcome, style=_COLOURS.get(event.outcome, ""))
    return f"{event.at:%Y-%m-%d %H:%M:%S}", event.who, event.act, event.task, shown, detail
