"""``tornio run wait`` and ``tornio run fetch``: the result of a run on the cluster."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Annotated

import typer

from jobs.table import JOBS, Job
from tornio.api import RunFileOut, RunOut, TaskName
from tornio.cli import screen
from tornio.cli.connect import Context, Json, NoEscapeFormulas, Task, Url, connect
from tornio.cli.fetched import Fetched, open_fetched
from tornio.client import Client
from tornio.errors import Forbidden, InvalidFile, InvalidInput, RunFailed, Unavailable
from tornio.files.locked import locked
from tornio.files.whole import check_folder
from tornio.schemas.keys import TaskKeys
from tornio.schemas.runs import RunPlan
from tornio.storage.local import LocalStore

Run = Annotated[
    str, typer.Argument(metavar="RUN", help="Id of the run, as `tornio runs` shows it.", show_default=False)
]
Top = Annotated[int, typer.Option(min=0, max=20, help="Show so many of the first rows of the result.")]
_OVER = ("done", "failed", "cancelled")
_LOOK_S = 1.0
"""Seconds between two looks at a run that is waited for."""
TABLES = (".parquet", ".csv", ".jsonl")
"""Endings of a file with all rows of a result."""


def waited_for(client: Client, task: str, run: str, *, quiet: bool) -> RunOut:
    """Return the run when it is over. Raises RunFailed for one that has failed or was cancelled."""
    with screen.bars(quiet) as shown:
        stages = {}
        while (now := client.run(task, run)).state not in _OVER:
            if shown is not None and now.progress is not None:
                stage = now.progress.stage
                if stage not in stages:
                    stages[stage] = shown.add_task(stage, total=now.progress.total)
                shown.update(stages[stage], completed=now.progress.done, total=now.progress.total)
            time.sleep(_LOOK_S)
    if now.state != "done":
        raise RunFailed(f"run {run} is {now.state}: {now.error or now.why or 'no reason is given'}")
    return now


def show_top(client: Client, task: str, run: RunOut, top: int) -> None:
    """Show the first rows of a run that is done, if its job has any and the key may see them."""
    if not top or run.state != "done":
        return
    try:
        found = client.run_rows(task, run.run, top)
    except Forbidden:
        screen.note("The first rows of the result are shown to keys with the role 'operate' only")
        return
    if found.rows:
        screen.show(screen.table(found.columns, found.rows))
        job = JOBS.get(run.job)
        where = "FOLDER" if job is None or job.write is None else "FILE.csv"
        screen.note(f"all of it: tornio run fetch {task} {run.run} -o {where}")


def fetch(
    ctx: Context,
    task: Task,
    run: Run,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            help="A file that ends in .csv, .jsonl or .parquet: all rows. One that ends in .html: the report. A name "
            "without an ending: a folder for all files as they are stored.",
            show_default=False,
        ),
    ],
    no_escape_formulas: NoEscapeFormulas = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Bring the result of a run that is done to this machine.

    If the command is interrupted, start it again: what has arrived is not fetched again.
    """
    check_folder(output)
    with connect(ctx, url) as client:
        names = fetch_result(client, task, client.run(task, run), output, escape=not no_escape_formulas, quiet=as_json)
    if as_json:
        screen.dump({"run": run, "path": str(output), "files": names})
    else:
        screen.say(f"wrote {output}" + (f": {len(names):,} files" if output.is_dir() else ""))


def fetch_result(client: Client, task: str, run: RunOut, output: Path, *, escape: bool, quiet: bool) -> list[str]:
    """Write what ``fetch`` writes, and return the names of the files that it was made of. Raises as it does."""
    files = client.run_files(task, run.run)
    job = JOBS.get(run.job)
    if job is not None and _is_purged(job, files):
        raise InvalidInput(
            f"the files of {run.run} were deleted by a purge, because they held a deleted text. Ask for a run over "
            "data without that text; a review can be exported again"
        )
    if not files:
        raise InvalidInput(f"a run of {run.job!r} has no files. See it with: tornio run show {task} {run.run}")
    return _fetch(client, task, run, files, output, escape=escape, quiet=quiet)


def _fetch(
    client: Client, task: str, run: RunOut, files: Sequence[RunFileOut], output: Path, *, escape: bool, quiet: bool
) -> list[str]:
    """Write the output, and return the names of the files that it was made of."""
    suffix = output.suffix.lower()
    job = JOBS.get(run.job)
    offered = files if job is None else [file for file in files if not _is_below(file, _folders(job)[1:])]
    same = [file for file in offered if Path(file.name).suffix == suffix]
    if not suffix:
        wanted, folder, inside = list(files), output, ""
    elif job is not None and job.write is not None and suffix in TABLES:
        wanted = [file for file in files if file.name.endswith(".parquet")]
        folder, inside = output.with_name(output.name + ".partial"), TaskKeys(*TaskName.parse(task)).run(run.run).root
    elif len(same) == 1:
        with screen.progress("fetching", same[0].size, quiet) as advance:
            _bring_file(client, task, run.run, same[0], output, advance)
        return [same[0].name]
    else:
        endings = sorted({Path(file.name).suffix for file in offered})
        raise InvalidInput(
            f"the result of {run.run} has {len(same):,} files that end in {suffix}, and its files end in "
            f"{', '.join(endings)}. Give a name without an ending, which is a folder for all of them"
        )
    with open_fetched(folder, task, run.run) as fetched:
        _bring(client, task, run.run, wanted, folder / inside, fetched, quiet=quiet)
        if suffix and job is not None:
            _write(job, task, run, folder, output, escape=escape)
            shutil.rmtree(folder)
    return [file.name for file in wanted]


def _bring(
    client: Client, task: str, run: str, files: Sequence[RunFileOut], folder: Path, fetched: Fetched, *, quiet: bool
) -> None:
    """Fetch the files that have not come."""
    with screen.progress("fetching", sum(file.size for file in files), quiet) as advance:
        for file in files:
            path = folder / file.place
            path.parent.mkdir(parents=True, exist_ok=True)
            if fetched.has(file, path):
                advance(file.size)
            else:
                _bring_file(client, task, run, file, path, advance)
                fetched.add(file)


def _bring_file(
    client: Client, task: str, run: str, file: RunFileOut, path: Path, advance: Callable[[int], None]
) -> None:
    """Fetch a file, or what is missing of it. Raises InvalidFile, Conflict while another process fetches it too, and
    Unavailable if it has another size than was listed."""
    version = sha256(file.etag.encode()).hexdigest()[:8]
    part = path.with_name(f".{path.name}.{version}.partial")
    try:
        with locked(part) as out:
            start = out.seek(0, os.SEEK_END)
            advance(start)
            for piece in client.run_file(task, run, file, start):
                out.write(piece)
                advance(len(piece))
            out.flush()
            if (size := part.stat().st_size) != file.size:
                part.unlink()
                raise Unavailable(f"{file.name} has {size:,} bytes instead of {file.size:,}. Try again")
            part.replace(path)
    except OSError as error:
        raise InvalidFile(f"cannot write {path}: {error.strerror or error}") from error


def _folders(job: Job) -> list[str]:
    """The folders of a result. The first one holds the result itself, the others what is beside it."""
    return [name for name in job.files if name.endswith("/")]


def _is_below(file: RunFileOut, folders: Sequence[str]) -> bool:
    return any(file.place.startswith(folder) for folder in folders)


def _is_purged(job: Job, files: Sequence[RunFileOut]) -> bool:
    """Whether the result is gone. A run that is done has written at least one file of it."""
    first = _folders(job)[:1]
    return bool(first) and not any(_is_below(file, first) for file in files)


def _write(job: Job, task: str, run: RunOut, folder: Path, output: Path, *, escape: bool) -> None:
    """Write all rows, from the parts in the folder. Raises InvalidInput where only the client is installed."""
    name = TaskName.parse(task)
    plan = RunPlan(run=run.run, job=run.job, workspace=name.workspace, task=name.task, args={})
    assert job.write is not None
    try:
        job.write(plan, run.output or {}, LocalStore(folder), output, escape)
    except ImportError as error:
        raise InvalidInput(
            f"writing {output} needs the extra that is not installed ({error}). Run: pip install 'tornio[cluster]'; or "
            "give a name without an ending, which is a folder for the files as they are stored"
        ) from error
