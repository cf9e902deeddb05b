"""``tornio init``: look at a file, ask little, write a task.yaml, and say what comes next."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from tornio.api import TaskName
from tornio.cli import screen
from tornio.cli.asking import Questions
from tornio.cli.connect import TASK_NAME, Json
from tornio.cli.data import Delimiter, Encoding, FileFormat, NoHeader, split_names
from tornio.cli.first_look import Seen, can_be_taught, flags_of, look_at, notes_on
from tornio.cli.next_steps import Situation, next_steps
from tornio.client import address
from tornio.errors import InvalidFile, InvalidInput, TornioError
from tornio.files.looking import MAX_LABELS
from tornio.files.tables import Options
from tornio.files.whole import check_folder, writing
from tornio.spec.labels import label_faults
from tornio.specfile.draft import Draft, DraftLabel, write_draft

MOST_DESCRIBED = 20
"""Of more labels, nobody is asked for descriptions one by one."""
_SHOWN_LABELS = 12


def init(
    file: Annotated[
        str, typer.Argument(help="File of texts: CSV, TSV, JSON lines, Parquet or plain lines.", show_default=False)
    ],
    name: Annotated[
        str | None,
        typer.Option(metavar=TASK_NAME, help="Full name of the task.", show_default="asks, or from the file"),
    ] = None,
    text_column: Annotated[str | None, typer.Option(help="Column that holds the text.", show_default="guessed")] = None,
    id_column: Annotated[
        str | None, typer.Option(help="Column that holds the record id.", show_default="guessed")
    ] = None,
    label_column: Annotated[
        str | None, typer.Option(help="Column that holds the label.", show_default="guessed")
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(help="Names of the labels, separated by commas.", show_default="those of the file, or asks"),
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option("--label", "-l", help="A label, or label=description. Give one for each.", show_default=False),
    ] = None,
    multi_label: Annotated[
        bool | None,
        typer.Option("--multi-label/--single-label", help="Whether a text may have several.", show_default="guessed"),
    ] = None,
    no_header: NoHeader = False,
    encoding: Encoding = None,
    delimiter: Delimiter = None,
    format: FileFormat = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write.")] = Path("task.yaml"),
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing: take all defaults.")] = False,
    as_json: Json = False,
) -> None:
    """Look at a file of texts, ask a few questions, and write the task.yaml of a new task.

    Prints the commands that come next. Nothing is sent to a server. Options answer the questions in scripts.
    """
    _check_output(output, file, force)
    questions = Questions(yes)
    given = _given_labels(labels, label)
    options = Options(format, encoding, delimiter, not no_header)
    seen = look_at(file, options, (text_column, id_column, label_column), questions, bool(given))
    several = _several(seen, multi_label, questions)
    if given and label_column is None and (unknown := _unnamed(seen, several, given)):
        screen.note(f"the column {seen.label!r} has other labels, such as {unknown[0]!r}, and is not used", "yellow")
        seen, several = replace(seen, label=None), bool(multi_label)
    drafted = _labels(seen, several, given, questions)
    task = TaskName.parse(name or questions.ask("What is the name of the task", "--name", _default_name(file)))
    notes = notes_on(seen)
    labelled = seen.found.labelled(several) if seen.label else 0
    taught = not labelled and not several and can_be_taught(seen.found, len(drafted))
    text = write_draft(Draft(task.workspace, task.task, drafted, file, several, notes, taught))
    with writing(output) as part:
        part.write_text(text, "utf-8")
    situation = Situation(
        str(task),
        str(output),
        file,
        flags_of(seen, format, encoding, delimiter),
        seen.label,
        labelled,
        seen.found.texts,
        seen.found.example,
        _runs(),
    )
    if as_json:
        screen.dump(_as_json(output, task, seen, several, drafted, situation))
    else:
        _show(output, task, seen, several, drafted, notes, situation)


def _check_output(output: Path, file: str, force: bool) -> None:
    """Raises InvalidFile, before anything is read or asked."""
    if file == "-":
        raise InvalidFile("tornio init reads a file, which the next commands read again. Save the texts in one.")
    check_folder(output)
    if output.exists() and Path(file).exists() and output.samefile(file):
        raise InvalidFile(f"{output} is the file that is read: give another --output")
    if output.exists() and not force:
        raise InvalidFile(f"{output} exists already: give another --output, or --force to replace it")


def _given_labels(names: str | None, labels: Sequence[str] | None) -> dict[str, str]:
    """The labels of the options, each with its description. Raises InvalidInput."""
    given = dict.fromkeys(split_names(names), "")
    for one in labels or ():
        name, _, description = (part.strip() for part in one.partition("="))
        given[name] = description
    return given


def _several(seen: Seen, given: bool | None, questions: Questions) -> bool:
    """Whether a text may have several labels."""
    if given is not None:
        return given
    return seen.found.multi_label and questions.confirm("May a text have several of the labels?", True)


def _labels(seen: Seen, several: bool, given: Mapping[str, str], questions: Questions) -> list[DraftLabel]:
    """The labels of the task. Raises InvalidInput."""
    counts = seen.found.counts(several) if seen.label else {}
    names = list(given or counts)
    if len(names) < 2 and not given:
        which = f"Which labels are there beside {names[0]!r}" if names else "Which labels are there"
        names += split_names(questions.ask(f"{which}, separated by commas", "--labels"))
    names = list(dict.fromkeys(names))
    if unknown := _unnamed(seen, several, names):
        raise InvalidInput(
            f"The column {seen.label!r} has labels that are not named: {', '.join(map(repr, unknown[:10]))}. Name "
            "them, too, or rename them in the file, so that its labels can be imported."
        )
    if not 2 <= len(names) <= MAX_LABELS:
        raise InvalidInput(
            f"A task has 2 to {MAX_LABELS:,} labels, and these are {len(names):,}. Name each with --label, or all with "
            "--labels."
        )
    if faults := list(label_faults(names)):
        raise InvalidInput(f"These labels cannot be used: {faults[0]}")
    if one_by_one := questions.can_ask and len(names) <= MOST_DESCRIBED:
        screen.note("One sentence for each label, or Enter for none:")
    return [
        DraftLabel(
            name, given.get(name) or (questions.optional(f"  {name}") if one_by_one else ""), counts.get(name, 0)
        )
        for name in names
    ]


def _unnamed(seen: Seen, several: bool, names: Collection[str]) -> list[str]:
    """The labels of the file that are not among these."""
    return [name for name in seen.found.counts(several) if name not in names] if seen.label else []


def _default_name(file: str) -> str:
    return f"main/{_slug(Path(file).stem) or 'texts'}"


def _slug(text: str) -> str:
    """The letters of a text that the name of a task may have."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9_]+", "-", plain).strip("-_")[:63].strip("-_")


def _runs() -> bool:
    """Whether commands find a server."""
    try:
        address.find()
    except TornioError:
        return False
    return True


def _show(
    output: Path,
    task: TaskName,
    seen: Seen,
    several: bool,
    labels: Sequence[DraftLabel],
    notes: Sequence[str],
    situation: Situation,
) -> None:
    columns = [f"text from {seen.text!r}"] if seen.text else []
    columns += [f"id from {seen.record_id!r}"] if seen.record_id else []
    columns += [f"label from {seen.label!r}"] if seen.label else []
    screen.say(f"read {seen.found.texts:,} texts ({', '.join([seen.what, *columns])})")
    shown = ", ".join(f"{one.name} ({one.rows:,})" if one.rows else one.name for one in labels[:_SHOWN_LABELS])
    more = f" and {len(labels) - _SHOWN_LABELS} more" if len(labels) > _SHOWN_LABELS else ""
    screen.say(f"{len(labels)} labels{', several per text' if several else ''}: {shown}{more}")
    for note in notes:
        screen.note(note, style="yellow")
    screen.say(f"wrote {output} for the task {task}. Next:")
    for step in next_steps(situation):
        screen.say("")
        screen.say(screen.Text(f"# {step.why}", style="dim"))
        screen.say(step.command)


def _as_json(
    output: Path, task: TaskName, seen: Seen, several: bool, labels: Sequence[DraftLabel], situation: Situation
) -> dict[str, object]:
    return {
        "path": str(output),
        "task": str(task),
        "texts": seen.found.texts,
        "text_column": seen.text or None,
        "id_column": seen.record_id,
        "label_column": seen.label,
        "multi_label": several,
        "labels": {one.name: one.rows for one in labels},
        "next": [step.command for step in next_steps(situation)],
    }
