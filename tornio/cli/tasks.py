"""Commands for a task as a whole: create it, show its state, control it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from tornio.api import Asked
from tornio.cli import screen
from tornio.cli.connect import Context, Json, Task, Url, connect
from tornio.cli.views import status_view, tasks_view, versions_view
from tornio.errors import InvalidFile
from tornio.loop.first import no_version
from tornio.specfile import read_spec


class _ListsVersions(TyperGroup):
    """Without ``list``, ``tornio versions WORKSPACE/TASK`` means the same. No task is called like a command: it has a
    slash."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        told = args and args[0] not in (*self.commands, *ctx.help_option_names)
        return super().parse_args(ctx, ["list", *args] if told else args)


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        cls=_ListsVersions,
        help="List the versions of a task (`tornio versions WORKSPACE/TASK`), or import one that was exported.",
    )
    group.command("list")(versions)
    group.command("import")(import_version)
    app.command("apply")(apply)
    app.command("tasks")(tasks)
    app.command("status")(status)
    app.add_typer(group, name="versions")
    for command in (train_now, pause, resume, promote, rollback):
        app.command(command.__name__.replace("_", "-"))(command)


def apply(
    ctx: Context,
    file: Annotated[Path, typer.Argument(help="Path of the task.yaml.", show_default=False)],
    migrate_labels: Annotated[
        bool,
        typer.Option(
            "--migrate-labels",
            help="Also change the labels of a task that exists. Without it, such a change is refused, with what would "
            "become of the labels.",
        ),
    ] = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Create the task that a task.yaml describes, or change an existing task to match it."""
    try:
        spec = read_spec(file.read_text("utf-8"), str(file))
    except OSError as error:
        raise InvalidFile(f"Cannot read {file}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InvalidFile(f"{file} is not UTF-8 (offset {error.start}). Save it as UTF-8.") from error
    with connect(ctx, url) as client:
        applied = client.apply(spec, migrate_labels=migrate_labels)
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
        for line in applied.labels:
            screen.say(f"  {line}")
    else:
        screen.say(f"{spec.full_name} already matches this file (spec {applied.spec_rev})")


def tasks(ctx: Context, url: Url = None, as_json: Json = False) -> None:
    """List the tasks that the API key may see."""
    with connect(ctx, url) as client:
        listed = client.tasks()
    if as_json:
        screen.dump(listed)
    elif listed:
        screen.show(tasks_view(listed))
    else:
        screen.say("There are no tasks yet. Create one with: tornio apply task.yaml")


def status(
    ctx: Context,
    task: Task,
    watch: Annotated[
        bool,
        typer.Option(
            "--watch", "-w", help="Refresh every 2 seconds until Ctrl-C; with --json, print one line each time."
        ),
    ] = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Show the state of a task, and the reasons for it."""
    with connect(ctx, url) as client:
        if watch and as_json:
            screen.watch_json(lambda: client.status(task))
        elif watch:
            screen.watch(lambda: client.status(task), status_view)
        else:
            state = client.status(task)
            screen.dump(state) if as_json else screen.show(status_view(state))


def versions(ctx: Context, task: Task, url: Url = None, as_json: Json = False) -> None:
    """List the versions of a task, with why each was promoted or refused and which hold-out predictions changed."""
    with connect(ctx, url) as client:
        listed = client.versions(task)
        waits = None if listed else client.status(task).first_version
    if as_json:
        screen.dump(listed)
    elif listed:
        screen.show(versions_view(listed))
    else:
        screen.say(no_version(task, waits or f"look at `tornio status {task}`"))


def import_version(
    ctx: Context,
    task: Task,
    folder: Annotated[Path, typer.Argument(help="Folder that `tornio export model` wrote.", show_default=False)],
    why: Annotated[str, typer.Option(help="Reason, for the list of versions.", show_default=False)] = "",
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Send an exported version to a task that has the same labels. It is judged as one that was trained there is, and
    serves if it passes.

    The key needs the role 'operate'.
    """
    with connect(ctx, url) as client, screen.progress("sending bytes", None, quiet=as_json) as advance:
        asked = client.import_version(task, folder, why, advance)
    _show(asked, as_json)


def train_now(
    ctx: Context,
    task: Task,
    force: Annotated[bool, typer.Option("--force", help="Train even if no label is new.")] = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Train with the present labels now, without waiting for the batch to close."""
    with connect(ctx, url) as client:
        _show(client.train_now(task, force), as_json)


def pause(ctx: Context, task: Task, url: Url = None, as_json: Json = False) -> None:
    """Pause a task: no new batch or training starts. Predictions continue."""
    with connect(ctx, url) as client:
        _show(client.pause(task), as_json)


def resume(ctx: Context, task: Task, url: Url = None, as_json: Json = False) -> None:
    """Continue after a pause, or allow promotions again after `rollback` or `promote`."""
    with connect(ctx, url) as client:
        _show(client.resume(task), as_json)


def _show(asked: Asked, as_json: bool) -> None:
    screen.dump(asked) if as_json else screen.say(asked.said)


def promote(
    ctx: Context,
    task: Task,
    version: Annotated[str, typer.Argument(help="The version, as `tornio versions` lists it.")],
    why: Annotated[str, typer.Option("--why", help="Reason, for the history of the alias.")] = "",
    force: Annotated[
        bool, typer.Option("--force", help="Also a version that the gate or a trial refused for its scores.")
    ] = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Let a version serve that was trained before. Nothing newer is promoted until `tornio resume`."""
    with connect(ctx, url) as client:
        _show(client.promote(task, version, why, force=force), as_json)


def rollback(
    ctx: Context,
    task: Task,
    why: Annotated[str | None, typer.Option("--why", help="Reason, for the history of the alias.")] = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Deploy the version again that served before; each rollback goes one further back. Nothing is promoted until
    `tornio resume`."""
    with connect(ctx, url) as client:
        serving = client.rollback(task, why)
    if as_json:
        screen.dump(serving)
    else:
        screen.say(f"{task} serves {serving.version} again (revision {serving.revision}, before: {serving.previous})")
        screen.say(f"No version is promoted until you run: tornio resume {task}")
