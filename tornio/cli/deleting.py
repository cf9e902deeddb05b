"""The commands that delete records: pool delete, and purge, which takes their texts out of the store."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from tornio.api import LearnedOut, PurgeRequest, RecordsDeleted
from tornio.cli import screen
from tornio.cli.connect import Context, Json, Task, Url, connect
from tornio.errors import InvalidFile, InvalidInput, RunFailed
from tornio.schemas.jobs import PurgeOutput

_LOOK_S = 0.5
"""Seconds between two looks at a run."""
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask first.")]


def pool_delete(
    ctx: Context,
    task: Task,
    id: Annotated[
        list[str] | None, typer.Option(help="Id of a record. May be given several times.", show_default=False)
    ] = None,
    ids: Annotated[
        str | None,
        typer.Option(help="File with one id per line; '-' is standard input, which needs --yes.", show_default=False),
    ] = None,
    yes: Yes = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Delete records of the pool for ever. Shows first what that does, and asks.

    Nobody is shown or learns from a deleted record from then on, and it is deleted in Argilla. `tornio purge` takes
    the texts out of the store.
    """
    if ids == "-" and not yes:
        raise InvalidInput("--ids - reads the ids from standard input, so that no answer can be read: add --yes")
    wanted = [*(id or ()), *(_read_ids(ids) if ids else ())]
    if not wanted:
        raise InvalidInput("name the records to delete: --id ID, or --ids FILE with one id per line")
    with connect(ctx, url) as client:
        if not yes:
            _say(client.delete_records(task, wanted, dry_run=True), task, "would be deleted")
            typer.confirm("Delete them for ever?", abort=True, err=True)
        deleted = client.delete_records(task, wanted)
    if as_json:
        screen.dump(deleted)
        return
    _say(deleted, task, "were deleted")
    screen.note(f"Their texts are still in the store. This takes them out: tornio purge {task}")


def purge(ctx: Context, task: Task, yes: Yes = False, url: Url = None, as_json: Json = False) -> None:
    """Take the texts of all deleted records of a task out of the store for ever. Asks first.

    Names the versions that have learned from them, and still carry it. An interrupted purge goes on when the command
    is started again, and one that is done does nothing.
    """
    with connect(ctx, url) as client:
        if not yes:
            screen.note(f"The texts of all deleted records of {task} are taken out of the store. Nothing undoes it.")
            typer.confirm("Take them out?", abort=True, err=True)
        run = client.start_run(task, PurgeRequest())
        before = run.state == "done"
        while run.state not in ("done", "failed", "cancelled"):
            time.sleep(_LOOK_S)
            run = client.run(task, run.run)
    if run.state != "done":
        raise RunFailed(f"{run.run} is {run.state}: {run.error or 'no reason given'}. Start the command again.")
    if as_json:
        screen.dump(run)
        return
    _say_purged(PurgeOutput.model_validate(run.output), task, before)


def _say_purged(done: PurgeOutput, task: str, before: bool) -> None:
    if before or not done.records:
        screen.say(f"nothing to do: the texts of the {done.deleted:,} deleted records of {task} were taken out before")
    else:
        screen.say(
            f"took the texts of {done.records:,} records of {task} out of {done.parts:,} parts of the pool, and what "
            f"was made of them out of {done.caches:,} files of embeddings and soft labels, {done.views:,} of written "
            f"views, {done.score_runs:,} runs and {done.answers:,} answers of chat models"
        )
    learned = learned_lines([LearnedOut(**one.model_dump()) for one in done.versions])
    learned += [f"base model {name} was adapted to some of them" for name in done.encoders]
    for line in learned:
        screen.note(line, style="yellow")
    if learned:
        screen.note(f"These still carry what they learned. Train anew: tornio train-now {task} --force")
    screen.note("Not reached: backups, old versions of objects in S3, and files that people have")


def deleted_before(count: int) -> str:
    """Return the sentence about records that were left out of an import because they were deleted."""
    return (
        f"{count:,} records were left out, because they were deleted from the task. What shall come back needs another "
        "id"
    )


def learned_lines(versions: list[LearnedOut]) -> list[str]:
    """Describe the versions that have learned from deleted records, one per line."""
    lines = []
    for one in versions:
        labelled = f"learned from {one.labelled:,} of them" if one.labelled else ""
        read = f"may have read {one.read:,} {'others' if labelled else 'of them'} without a label" if one.read else ""
        lines.append(f"version {one.version} {' and '.join(filter(None, (labelled, read)))}")
    return lines


def _say(deleted: RecordsDeleted, task: str, what: str) -> None:
    already = f"; {deleted.already:,} were deleted before" if deleted.already else ""
    screen.say(
        f"{deleted.records:,} records of {task} {what}: {deleted.labelled:,} labelled, {deleted.holdout:,} of the "
        f"hold-out, {deleted.open:,} in open batches{already}"
    )
    for line in learned_lines(deleted.versions):
        screen.note(line, style="yellow")


def _read_ids(file: str) -> list[str]:
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidFile(f"{file} cannot be read: {error}. It must be UTF-8 text with one id per line") from error
    return [line for line in text.splitlines() if line.strip()]
