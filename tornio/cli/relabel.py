"""The command that changes a task's labels: labels migrate."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from pydantic import ValidationError

from tornio.api import LabelMigrationIn
from tornio.cli import screen
from tornio.cli.connect import Context, Json, Task, Url, connect
from tornio.errors import InvalidInput
from tornio.spec import LabelSpec
from tornio.spec.limits import cut


def labels_migrate(
    ctx: Context,
    task: Task,
    rename: Annotated[
        list[str] | None, typer.Option("--rename", metavar="OLD=NEW", help="Give a label another name.")
    ] = None,
    merge: Annotated[
        list[str] | None, typer.Option("--merge", metavar="OLD,OLD=NEW", help="Make one label out of several.")
    ] = None,
    remove: Annotated[
        list[str] | None,
        typer.Option("--remove", metavar="LABEL", help="Remove a label. Its texts are asked again."),
    ] = None,
    add: Annotated[
        list[str] | None,
        typer.Option("--add", metavar="LABEL[=DESCRIPTION]", help="Add a label, with a sentence that describes it."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Rename, merge, remove and add labels of a task. It shows what becomes of each label, and asks before it acts.

    Each option may be given several times. To split a label, remove it and add the new ones: its texts are asked again.
    """
    wanted = LabelMigrationIn(
        rename=dict(_pair(one, "--rename") for one in rename or ()),
        merge=dict(_merged(one) for one in merge or ()),
        remove=remove or [],
        add=[_label(one) for one in add or ()],
    )
    with connect(ctx, url) as client:
        planned = client.migrate_labels(task, wanted, dry_run=True)
        if not planned.labels:
            raise InvalidInput("Nothing would change: give --rename, --merge, --remove or --add.")
        if not as_json:
            for line in planned.labels:
                screen.say(f"  {line}")
        if not yes and not _agreed(task):
            screen.say(f"{task} stays as it is.")
            return
        done = client.migrate_labels(task, wanted, expected_spec_rev=planned.spec_rev)
    if as_json:
        screen.dump(done)
    else:
        screen.say(
            f"changed the labels of {task}, now at spec {done.spec_rev}. Open batches move to a new data set, and"
        )
        screen.say(f"a version with the new labels is trained: tornio status {task}")


def _agreed(task: str) -> bool:
    if not sys.stdin.isatty():
        raise InvalidInput(f"Nobody can be asked here. Give --yes to change the labels of {task}.")
    return typer.confirm(f"Change the labels of {task}?")


def _pair(text: str, option: str) -> tuple[str, str]:
    old, equals, new = (part.strip() for part in text.partition("="))
    if not (old and equals and new):
        raise InvalidInput(f"{option} {text!r}: write the old and the new name with '=' between them.")
    return old, new


def _merged(text: str) -> tuple[str, list[str]]:
    old, new = _pair(text, "--merge")
    return new, [name.strip() for name in old.split(",") if name.strip()]


def _label(text: str) -> LabelSpec:
    name, _, description = (part.strip() for part in text.partition("="))
    try:
        return LabelSpec(name=name, description=description or None)
    except ValidationError as error:
        said = "; ".join(fault["msg"] for fault in error.errors(include_url=False))
        raise InvalidInput(f"--add {cut(text)!r} is no label: {said}. Write the name, or NAME=DESCRIPTION.") from None
