"""Commands about runs: list them, ask for one on the cluster, show one, cancel one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated

import typer

from jobs.table import JOBS
from tornio.api import RunOut, RunRequest, TaskName
from tornio.cli import screen
from tornio.cli.connect import TASK_OR_WORKSPACE, Context, Json, MaybeTask, Task, Url, connect
from tornio.cli.options import options_of
from tornio.cli.results import Run, Top, fetch, show_top, waited_for
from tornio.cli.screen import Group, RenderableType, Text, ago
from tornio.cli.stores import known_store
from tornio.cli.uploading import with_upload
from tornio.client import Client
from tornio.errors import NotFound
from tornio.runs import RunReader, run_out, workspaces_with_runs
from tornio.storage.port import ObjectStore

_COLOURS = {"running": "cyan", "done": "green", "failed": "red", "cancelled": "yellow"}

_MOST_LETTERS = 200
"""Characters of a result that `run show` prints; with --json, it prints all of them."""
_IN_WORDS = {"ranking": "rows are sorted by the column", "suspicion": "this column is computed by the ranking"}
"""Names of results that are not clear by themselves, as `run show` prints them."""

RunsOf = dict[str, list[RunOut]]
"""Runs by the full name of their task, or by their workspace for runs without a task."""


def register(app: typer.Typer) -> None:
    app.command("runs")(runs)
    group = typer.Typer(no_args_is_help=True, help="Start a run on the cluster, wait for it, fetch its result.")
    for name, job in JOBS.items():
        if job.request is not None:
            group.command(name, help=job.request.__doc__)(_command(job.request))
    for command in (show, wait, fetch, cancel):
        group.command(command.__name__)(command)
    app.add_typer(group, name="run")


def runs(
    ctx: Context,
    task: MaybeTask = None,
    watch: Annotated[
        bool,
        typer.Option(
            "--watch", "-w", help="Refresh every 2 seconds until Ctrl-C; with --json, print one line each time."
        ),
    ] = False,
    most: Annotated[int, typer.Option(min=1, max=500, help="Show at most this many runs per task.")] = 20,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """List runs, newest first: those of the loop, those that users asked for, and those of `tornio score` without a
    task, which are in the store that `tornio score` uses here.

    Without a server, the command lists the runs of that store alone.
    """
    with _source(ctx, url, task, most) as look:
        if watch and as_json:
            screen.watch_json(lambda: _plain(look()))
        elif watch:
            screen.watch(look, _runs_view)
        runs_of = look()
    screen.dump(_plain(runs_of)) if as_json else screen.show(_runs_view(runs_of))


def _command(request: type[RunRequest]) -> Callable[..., None]:
    """The command that asks for a run of a job, with one option per field of its request."""

    @options_of(request)
    def ask(ctx: Context, task: Task, request: RunRequest, url: Url = None, as_json: Json = False) -> None:
        with connect(ctx, url) as client:
            run = client.start_run(task, with_upload(client, task, request, quiet=as_json))
        if as_json:
            screen.dump(run)
        else:
            screen.say(f"run {run.run} is {run.state}. Wait for it with: tornio run wait {task} {run.run}")

    return ask


def show(
    ctx: Context,
    task: Annotated[
        str,
        typer.Argument(
            metavar=TASK_OR_WORKSPACE,
            help="Full name of the task. For a run without a task: its workspace.",
            show_default=False,
        ),
    ],
    run: Run,
    top: Top = 10,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Show the progress of a run, its result with the first rows, or why it failed.

    A run without a task is read from the store that `tornio score` uses here, and the others from the server.
    """
    if "/" not in task:
        _show(_run_of_no_task(task, run), as_json)
        return
    with connect(ctx, url) as client:
        document = client.run(task, run)
        _show(document, as_json)
        if not as_json:
            show_top(client, task, document, top)


def wait(ctx: Context, task: Task, run: Run, top: Top = 10, url: Url = None, as_json: Json = False) -> None:
    """Wait until a run is over, and show its result with the first rows. Ends with an error if it has failed."""
    with connect(ctx, url) as client:
        document = waited_for(client, task, run, quiet=as_json)
        _show(document, as_json)
        if not as_json:
            show_top(client, task, document, top)


def cancel(ctx: Context, task: Task, run: Run, url: Url = None, as_json: Json = False) -> None:
    """End a run that a user asked for. Its work is kept. If you ask for the run again, it continues from there."""
    with connect(ctx, url) as client:
        document = client.cancel_run(task, run)
    screen.dump(document) if as_json else screen.say(f"run {document.run} is {document.state}")


# Where runs are


@contextmanager
def _source(ctx: Context, url: str | None, task: str | None, most: int) -> Iterator[Callable[[], RunsOf]]:
    """A function that reads the runs: from the server and the store of this folder, or from that store alone."""
    try:
        client = connect(ctx, url)
    except NotFound as no_server:
        store = known_store()
        if store is None:
            raise
        if task is not None and not any(_in_store(store, task, 1).values()):
            raise NotFound(f"There is no run of {task} in the store that is used here. {no_server}") from no_server
        screen.note("No server is known, so these are the runs of the store that `tornio score` uses here")
        yield lambda: _in_store(store, task, most)
    else:
        own = known_store() if task is None else None
        with client:
            yield lambda: _on_server(client, task, most) | ({} if own is None else _of_no_task(own, most))


def _on_server(client: Client, task: str | None, most: int) -> RunsOf:
    names = [task] if task is not None else [f"{one.workspace}/{one.task}" for one in client.tasks()]
    return {name: client.runs(name, most) for name in names}


def _in_store(store: ObjectStore, task: str | None, most: int) -> RunsOf:
    from tornio.tasks import Tasks  # needs the extra, which is installed where a store is

    named = [TaskName.parse(task)] if task is not None else [TaskName(*name) for name in Tasks(store).names()]
    readers = {str(name): RunReader(store, *name) for name in named}
    runs_of = {name: [run_out(record) for record in reader.runs(most)] for name, reader in readers.items()}
    return runs_of | _of_no_task(store, most) if task is None else runs_of


def _of_no_task(store: ObjectStore, most: int) -> RunsOf:
    """The runs without a task, by workspace."""
    readers = [RunReader(store, workspace, None) for workspace in sorted(workspaces_with_runs(store))]
    return {reader.workspace: [run_out(record) for record in reader.runs(most)] for reader in readers}


def _run_of_no_task(workspace: str, run: str) -> RunOut:
    store = known_store()
    if store is None:
        raise NotFound(f"There is no store of `tornio score` in this folder. For a run of a task: {workspace}/TASK.")
    return run_out(RunReader(store, workspace, None).run(run))


# How they look


def _show(run: RunOut, as_json: bool) -> None:
    screen.dump(run) if as_json else screen.show(_run_view(run, datetime.now(UTC)))


def _plain(runs_of: RunsOf) -> dict[str, object]:
    return {name: [run.model_dump(mode="json") for run in of_task] for name, of_task in runs_of.items()}


def _runs_view(runs_of: RunsOf) -> RenderableType:
    shown = {name: of_task for name, of_task in runs_of.items() if of_task}
    if not shown:
        return Text("no run yet. Start one with: tornio run score WORKSPACE/TASK --data s3://...")
    now = datetime.now(UTC)
    rows = (
        (name, run.run, _state(run), str(run.attempt), _how_far(run), _when(run, now))
        for name, of_task in ((name if "/" in name else f"{name} (no task)", found) for name, found in shown.items())
        for run in of_task
    )
    return screen.table(("=task", "=run", "state", "#attempt", "how far", "began"), rows)


def _run_view(run: RunOut, now: datetime) -> RenderableType:
    lines = [Text.assemble((run.run, "bold"), "  ", _state(run), f"  {_how_far(run)}")]
    if run.asked_by and run.asked_at:
        lines.append(Text(f"asked for by {run.asked_by}, {ago(run.asked_at, now)}"))
    if run.started_at:
        took = f", took {_seconds(run.started_at, run.finished_at)}" if run.finished_at else ""
        lines.append(Text(f"attempt {run.attempt} began {ago(run.started_at, now)}{took}"))
    lines += [Text(f"{_IN_WORDS.get(name, name)}: {value}") for name, value in _values(run.output or {})]
    return Group(*lines)


def _state(run: RunOut) -> Text:
    return Text(run.state, style=_COLOURS.get(run.state, ""))


def _how_far(run: RunOut) -> str:
    """The most important fact about a run, in one line."""
    if run.state in ("waiting", "failed"):
        return "; ".join(reason for reason in (run.error, run.why) if reason)
    if run.progress is None:
        return run.why or ""
    progress = run.progress
    of = "" if progress.total is None else f" of {progress.total:,}"
    return f"{progress.stage}: {progress.done:,}{of} {progress.unit}" + (f"; {run.why}" if run.why else "")


def _when(run: RunOut, now: datetime) -> str:
    return "" if run.started_at is None else ago(run.started_at, now)


def _seconds(began: datetime, ended: datetime) -> str:
    return f"{(ended - began).total_seconds():.1f} s"


def _values(output: Mapping[str, object], within: str = "") -> Iterator[tuple[str, str]]:
    """Yield name and value of each result. The name of a result inside of another one is ``outer.inner``."""
    for name, value in output.items():
        if isinstance(value, Mapping):
            yield from _values(value, f"{within}{name}.")
        else:
            yield f"{within}{name}", _short(value)


def _short(value: object) -> str:
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        text = ", ".join(value)
    else:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _MOST_LETTERS else text[: _MOST_LETTERS - 3] + "..."
