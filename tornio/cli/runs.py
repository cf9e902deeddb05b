"""Commands about runs: how each stands, start one on the cluster, cancel one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from tornio.api import RunOut, ScoreIn, TaskName
from tornio.cli import screen
from tornio.cli.connect import Context, Json, Task, Url, connect
from tornio.cli.stores import local_store, session_store
from tornio.cli.views import ago
from tornio.client import Client
from tornio.errors import InvalidInput, NotFound
from tornio.runs import RunReader, run_out, workspaces_with_runs
from tornio.storage.port import ObjectStore

WATCH_SECONDS = 2.0
_COLOURS = {"running": "cyan", "done": "green", "failed": "red", "cancelled": "yellow"}

Run = Annotated[str, typer.Argument(metavar="RUN", help="The run's id, as `tornio runs` shows it.", show_default=False)]
RunsOf = dict[str, list[RunOut]]
"""By the full name of the task, or by the workspace for runs of no task."""


def register(app: typer.Typer) -> None:
    app.command("runs")(runs)
    group = typer.Typer(no_args_is_help=True, help="One run.")
    for command in (score, show, cancel):
        group.command(command.__name__)(command)
    app.add_typer(group, name="run")


def runs(
    ctx: Context,
    task: Annotated[
        str | None, typer.Argument(metavar="[WORKSPACE/TASK]", help="Of this task alone.", show_default="of all")
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Look again every 2 seconds, until Ctrl-C; with --json a line each.")
    ] = False,
    most: Annotated[int, typer.Option(min=1, max=500, help="So many of each task, the newest.")] = 20,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """List runs, newest first: the loop's, and those that were asked for. Without a server: those of `tornio score`."""
    with _looker(ctx, url, task, most) as look:
        if watch and as_json:
            while True:
                screen.dump_line(_plain(look()))
                time.sleep(WATCH_SECONDS)
        elif watch:
            _watch(look)
        found = look()
    screen.dump(_plain(found)) if as_json else screen.show(_runs_view(found))


def _watch(look: Callable[[], RunsOf]) -> None:
    with Live(_runs_view(look()), console=screen.out(), auto_refresh=False) as live:
        while True:
            time.sleep(WATCH_SECONDS)
            live.update(_runs_view(look()), refresh=True)


def score(
    ctx: Context,
    task: Task,
    data: Annotated[str, typer.Option(help="s3://bucket/key of a file, or of a folder of files.", show_default=False)],
    model: Annotated[
        str | None,
        typer.Option(help="Alias or version of the task; else a sequence classifier.", show_default="current"),
    ] = None,
    cross_validate: Annotated[
        int, typer.Option(min=0, max=100, help="Score each row by one of so many models that did not see it.")
    ] = 0,
    ranking: Annotated[
        str | None, typer.Option(help="What rows are sorted by.", show_default="the best for what scores")
    ] = None,
    text_column: Annotated[str | None, typer.Option(help="Column that holds the text.", show_default="text")] = None,
    label_column: Annotated[str | None, typer.Option(help="Column that holds the label.", show_default="label")] = None,
    id_column: Annotated[str | None, typer.Option(help="Column that holds the id.", show_default="id")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="End at the first row that cannot be used.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of the folds.")] = 0,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Score a labelled data set by its loss on the cluster. Asked for again, it does only what is missing."""
    if not data.startswith("s3://"):
        raise InvalidInput(
            f"{data} is not in S3, and what runs on the cluster sees nothing else: write s3://bucket/key, or score it "
            f"here, with `tornio score --task {task} --data {data}`"
        )
    request = ScoreIn(
        data=data,
        model=model,
        folds=cross_validate,
        ranking=ranking,
        text_column=text_column,
        label_column=label_column,
        id_column=id_column,
        strict=strict,
        seed=seed,
    )
    with connect(ctx, url) as client:
        run = client.start_score(task, request)
    if as_json:
        screen.dump(run)
    else:
        screen.say(f"run {run.run} is {run.state}; see it go on with: tornio runs {task} --watch")


def show(ctx: Context, task: Task, run: Run, url: Url = None, as_json: Json = False) -> None:
    """Say how a run stands, why it failed, or what it came to."""
    with connect(ctx, url) as client:
        found = client.run(task, run)
    screen.dump(found) if as_json else screen.show(_run_view(found, datetime.now(UTC)))


def cancel(ctx: Context, task: Task, run: Run, url: Url = None, as_json: Json = False) -> None:
    """End a run that was asked for. What it has done stays: asked for again, it goes on from there."""
    with connect(ctx, url) as client:
        found = client.cancel_run(task, run)
    screen.dump(found) if as_json else screen.say(f"run {found.run} is {found.state}")


# Where runs are


@contextmanager
def _looker(ctx: Context, url: str | None, task: str | None, most: int) -> Iterator[Callable[[], RunsOf]]:
    """What looks at the runs: on the server, or, where nothing says that there is one, in the store of this folder."""
    try:
        client = connect(ctx, url)
    except NotFound:
        store = local_store()
        if store is None:
            raise
        yield lambda: _in_store(store, task, most)
    else:
        mine = session_store() if task is None and url is None else None
        with client:
            yield lambda: _on_server(client, task, most) | ({} if mine is None else _of_no_task(mine, most))


def _on_server(client: Client, task: str | None, most: int) -> RunsOf:
    names = [task] if task is not None else [f"{one.workspace}/{one.task}" for one in client.tasks()]
    return {name: client.runs(name, most) for name in names}


def _in_store(store: ObjectStore, task: str | None, most: int) -> RunsOf:
    from tornio.tasks import Tasks  # needs what a client alone does not have, and whoever has a store has

    named = [TaskName.parse(task)] if task is not None else [TaskName(*name) for name in Tasks(store).names()]
    readers = {str(name): RunReader(store, *name) for name in named}
    found = {name: [run_out(record) for record in reader.runs(most)] for name, reader in readers.items()}
    return found | _of_no_task(store, most) if task is None else found


def _of_no_task(store: ObjectStore, most: int) -> RunsOf:
    """By workspace."""
    readers = [RunReader(store, workspace, None) for workspace in sorted(workspaces_with_runs(store))]
    return {reader.workspace: [run_out(record) for record in reader.runs(most)] for reader in readers}


# How they look


def _plain(found: RunsOf) -> dict[str, object]:
    return {name: [run.model_dump(mode="json") for run in of_task] for name, of_task in found.items()}


def _runs_view(found: RunsOf) -> RenderableType:
    shown = {name: of_task for name, of_task in found.items() if of_task}
    if not shown:
        return Text("no run yet: start one with tornio run score WORKSPACE/TASK --data s3://...")
    made = screen.table("task", "run", "state", "#attempt", "how far", "began")
    now = datetime.now(UTC)
    for name, of_task in shown.items():
        for run in of_task:
            cells = (Text(name), Text(run.run), _state(run), str(run.attempt), Text(_how_far(run)), _when(run, now))
            made.add_row(*cells)
    return made


def _run_view(run: RunOut, now: datetime) -> RenderableType:
    lines = [Text.assemble((run.run, "bold"), "  ", _state(run), f"  {_how_far(run)}")]
    if run.asked_by and run.asked_at:
        lines.append(Text(f"asked for by {run.asked_by}, {ago(run.asked_at, now)}"))
    if run.started_at:
        took = f", took {_seconds(run.started_at, run.finished_at)}" if run.finished_at else ""
        lines.append(Text(f"attempt {run.attempt} began {ago(run.started_at, now)}{took}"))
    lines += [Text(f"{name}: {_short(value)}") for name, value in (run.output or {}).items()]
    return Group(*lines)


def _state(run: RunOut) -> Text:
    return Text(run.state, style=_COLOURS.get(run.state, ""))


def _how_far(run: RunOut) -> str:
    """What is most worth knowing of a run, in a line."""
    if run.state in ("waiting", "failed"):
        return "; ".join(said for said in (run.error, run.why) if said)
    if run.progress is None:
        return run.why or ""
    progress = run.progress
    of = "" if progress.total is None else f" of {progress.total:,}"
    return f"{progress.stage}: {progress.done:,}{of} {progress.unit}" + (f"; {run.why}" if run.why else "")


def _when(run: RunOut, now: datetime) -> str:
    return "" if run.started_at is None else ago(run.started_at, now)


def _seconds(began: datetime, ended: datetime) -> str:
    return f"{(ended - began).total_seconds():.1f} s"


def _short(value: object) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, Sequence) and not isinstance(value, str) else str(value)
    return text if len(text) <= 200 else text[:197] + "..."
