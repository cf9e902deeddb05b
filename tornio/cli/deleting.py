"""The command pool delete."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from tornio.api import LearnedOut, RecordsDeleted
from tornio.cli import screen
from tornio.cli.connect import Context, Json, Task, Url, connect
from tornio.errors import InvalidFile, InvalidInput

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

    Nobody is shown or learns from a deleted record from then on, and it is deleted in Argilla.
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
