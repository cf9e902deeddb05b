"""Commands about a task as a whole: make it, look at it, steer it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.live import Live

from tornio.api import Asked, TaskStatus
from tornio.cli import screen
from tornio.cli.connect import Context, Json, Task, Url, connect
from tornio.cli.views import status_view, tasks_view, versions_view
from tornio.client import Client
from tornio.errors import InvalidFile
from tornio.specfile import read_spec

WATCH_SECONDS = 2.0


def register(app: typer.Typer) -> None:
    for command in (apply, tasks, status, versions, train_now, pause, resume, rollback):
        app.command(command.__name__.replace("_", "-"))(command)


def apply(
    ctx: Context,
    file: Annotated[Path, typer.Argument(help="The task.yaml.", show_default=False)],
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Create the task that a task.yaml describes, or change it to that."""
    try:
        spec = read_spec(file.read_text("utf-8"), str(file))
    except OSError as error:
        raise InvalidFile(f"cannot read {file}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InvalidFile(f"{file} is not UTF-8 (offset {error.start}): save it as UTF-8") from error
    with connect(ctx, url) as client:
        applied = client.apply(spec)
    if as_json:
        screen.dump(applied)
    elif applied.created:
        screen.say(
            f"created {spec.full_name} with {len(spec.labels)} labels; next: tornio pool add {spec.full_name} FILE"
        )
    elif applied.changes:
        screen.say(f"changed {spec.full_name}, now at spec {applied.spec_rev}:")
        for change in applied.changes:
            screen.say(f"  {change}")
    else:
        screen.say(f"{spec.full_name} is like that already (spec {applied.spec_rev})")


def tasks(ctx: Context, url: Url = None, as_json: Json = False) -> None:
    """List the tasks that the key may see."""
    with connect(ctx, url) as client:
        found = client.tasks()
    if as_json:
        screen.dump(found)
    elif found:
        screen.show(tasks_view(found))
    else:
        screen.say("no task yet: make one with tornio apply task.yaml")


def status(
    ctx: Context,
    task: Task,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Look again every 2 seconds, until Ctrl-C; with --json a line each.")
    ] = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Say where a task stands, and why."""
    with connect(ctx, url) as client:
        if watch and as_json:
            _watch_lines(client, task)
        elif watch:
            _watch(client, task)
        else:
            found = client.status(task)
            screen.dump(found) if as_json else screen.show(status_view(found))


def _watch_lines(client: Client, task: str) -> None:
    while True:
        screen.dump_line(client.status(task))
        time.sleep(WATCH_SECONDS)


def _watch(client: Client, task: str) -> None:
    def look() -> TaskStatus:
        return client.status(task)

    with Live(status_view(look()), console=screen.out(), auto_refresh=False) as live:
        while True:
            time.sleep(WATCH_SECONDS)
            live.update(status_view(look()), refresh=True)


def versions(ctx: Context, task: Task, url: Url = None, as_json: Json = False) -> None:
    """Say of each version why it was promoted or refused, and which hold-out answers changed."""
    with connect(ctx, url) as client:
        found = client.versions(task)
    if as_json:
        screen.dump(found)
    elif found:
        screen.show(versions_view(found))
    else:
        screen.say("no version yet: the first is trained when there are labels of two classes")


def train_now(ctx: Context, task: Task, url: Url = None, as_json: Json = False) -> None:
    """Train with the labels there are, without waiting for the batch to close."""
    with connect(ctx, url) as client:
        _asked(client.train_now(task), as_json)


def pause(ctx: Context, task: Task, url: Url = None, as_json: Json = False) -> None:
    """Start neither batches nor trainings; predictions go on."""
    with connect(ctx, url) as client:
        _asked(client.pause(task), as_json)


def resume(ctx: Context, task: Task, url: Url = None, as_json: Json = False) -> None:
    """Go on after a pause, or promote again after a rollback."""
    with connect(ctx, url) as client:
        _asked(client.resume(task), as_json)


def _asked(asked: Asked, as_json: bool) -> None:
    screen.dump(asked) if as_json else screen.say(asked.said)


def rollback(
    ctx: Context,
    task: Task,
    why: Annotated[str | None, typer.Option("--why", help="For the history.")] = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Serve the previous version again; nothing is promoted until `tornio resume`."""
    with connect(ctx, url) as client:
        serving = client.rollback(task, why)
    if as_json:
        screen.dump(serving)
    else:
        screen.say(f"{task} serves {serving.version} again (revision {serving.revision}, before: {serving.previous})")
        screen.say(f"nothing is promoted until: tornio resume {task}")
