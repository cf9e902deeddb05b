"""The command ``tornio label``: label a file without any label of people, by a teacher or by a student of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import ValidationError

from tornio.cli import screen
from tornio.cli.connect import Json, NoEscapeFormulas
from tornio.cli.data import (
    Delimiter,
    Encoding,
    File,
    FileFormat,
    IdColumn,
    MetadataColumns,
    NoHeader,
    TextColumn,
    opened,
    split_names,
)
from tornio.cli.here import Watch, bars, check_extra
from tornio.cli.stores import folder_store, use_store
from tornio.errors import InvalidFile, InvalidInput
from tornio.files import Columns, Options, Read
from tornio.files.every_row import FileRow, read_every_row
from tornio.files.labelled import ModelRow, check_labelled, write_labelled, write_labelled_lines
from tornio.files.skipped import skipped_lines
from tornio.spec import TaskSpec
from tornio.specfile import read_spec

if TYPE_CHECKING:
    from jobs.context import JobContext
    from jobs.label_file import LabelledTexts, LabelSummary
    from tornio.schemas.runs import RunPlan, RunProgress

STANDARD_OUTPUT = "-"
_NO_ANSWER = "the teacher gave no usable answer"


def label(
    file: File,
    spec: Annotated[
        Path | None,
        typer.Option(help="task.yaml whose labels, teacher, classifier and settings of distillation are used."),
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(
            "--label",
            "-l",
            help="Instead of --spec: a label, or label=description. Give at least two.",
            show_default=False,
        ),
    ] = None,
    multi_label: Annotated[
        bool, typer.Option("--multi-label", help="With --label and --teacher-only: a text may have several labels.")
    ] = False,
    encoder: Annotated[str | None, typer.Option(help="With --label: base model.", show_default="minilm")] = None,
    teacher_only: Annotated[
        bool, typer.Option("--teacher-only", help="Write the teacher's labels, and teach no student.")
    ] = False,
    output: Annotated[
        str,
        typer.Option("--output", "-o", help="File to write: .csv, .tsv, .jsonl or .parquet; '-' prints JSON lines."),
    ] = STANDARD_OUTPUT,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the output file if it exists.")] = False,
    unsure_below: Annotated[
        float, typer.Option(min=0, max=1, help="Count the texts whose label is less probable than this.")
    ] = 0.5,
    text_column: TextColumn = None,
    id_column: IdColumn = None,
    metadata_columns: MetadataColumns = None,
    no_header: NoHeader = False,
    encoding: Encoding = None,
    delimiter: Delimiter = None,
    format: FileFormat = None,
    no_escape_formulas: NoEscapeFormulas = False,
    as_json: Json = False,
) -> None:
    """Label the texts of a file without any label of people. It needs no server and no task.

    The teacher labels by the names and descriptions of the labels. A student then learns from what the teacher says of
    all texts, and its labels are written. The output has all rows of the file in their order.

    The texts, their embeddings and the teacher's labels are kept in the folder .tornio/labelling, so that the same
    command again computes only what is missing. The folder may be deleted at any time.
    """
    metadata = split_names(metadata_columns)
    target = _checked_output(output, file, metadata, overwrite=overwrite, as_json=as_json)
    wanted = _spec(spec, label or (), multi_label, encoder)
    check_extra()
    columns = Columns(text_column, id_column, None, metadata)
    with opened(file, Options(format, encoding, delimiter, not no_header, columns.named)) as reader:
        read = read_every_row(reader, columns, file)
    texts = list(dict.fromkeys(row.text for row in read.items if row.text is not None and row.problem is None))
    from jobs.label_file import label_texts, summary_of

    context = _context()
    with bars(quiet=as_json) as watch:
        context.watch = _announcing(watch)
        labelled = label_texts(texts, wanted, context, teacher_only)
    rows = list(_rows(read, texts, labelled, wanted))
    summary = summary_of(labelled, wanted, unsure_below)
    if target is None:
        write_labelled_lines(rows, wanted.label_names, sys.stdout)
    else:
        write_labelled(rows, target, wanted.label_names, metadata, escape=not no_escape_formulas)
    if as_json:
        skipped = [{"line": skip.line, "reason": skip.reason} for skip in read.skipped]
        screen.dump({"path": output, "rows": len(rows), "skipped": skipped, **summary.as_json()})
    else:
        _show(summary, read, file, output)


def _checked_output(output: str, file: str, metadata: Sequence[str], *, overwrite: bool, as_json: bool) -> Path | None:
    """The path to write; None is the standard output. Raises InvalidFile, InvalidInput, before anything is read."""
    if output == STANDARD_OUTPUT:
        if as_json:
            raise InvalidInput("--json prints the summary, and without --output the labels are printed: give --output")
        return None
    path = Path(output)
    check_labelled(path, metadata)
    if path.exists() and Path(file).exists() and path.samefile(file):
        raise InvalidFile(f"{output} is the file that is read: give another --output")
    if path.exists() and not overwrite:
        raise InvalidFile(f"{output} exists already: give another --output, or --overwrite to replace it")
    return path


def _spec(path: Path | None, labels: Sequence[str], multi_label: bool, encoder: str | None) -> TaskSpec:
    """The labels and models to use. Raises InvalidInput, InvalidSpec, InvalidFile."""
    if (path is None) == (not labels):
        raise InvalidInput("name the labels: --spec with a task.yaml, or --label for each of at least two; not both")
    if path is not None:
        if multi_label or encoder is not None:
            raise InvalidInput(f"{path} says which base model is used, and how many labels a text has. Change it there")
        try:
            return read_spec(path.read_text("utf-8"), str(path))
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidFile(f"Cannot read {path}: {error}") from error
    named = [dict(zip(("name", "description"), given.split("=", 1), strict=False)) for given in labels]
    names = [one["name"] for one in named]
    if len(names) < 2:
        raise InvalidInput(f"Found one label, {names[0]!r}. Give at least two, such as -l praise -l complaint.")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InvalidInput(f"--label names {twice[0]!r} twice: give each label once")
    values: dict[str, Any] = {"workspace": "label", "name": "file", "labels": named, "multi_label": multi_label}
    if encoder is not None:
        values["classifier"] = {"encoder": encoder}
    try:
        return TaskSpec.model_validate(values)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_url=False))
        raise InvalidInput(f"the labels cannot be used: {faults}") from error


def _context() -> JobContext:
    """A context whose base models are those of the store that other commands use here, and whose texts are apart."""
    from jobs.context import JobContext
    from jobs.running.process import job_context
    from tornio.storage.local import LocalStore
    from tornio.tasks import Tasks

    use_store()
    here = job_context()
    store = LocalStore(folder_store().parent / "labelling")
    return JobContext(store, here.cache, here.loader, Tasks(store))


def _announcing(watch: Watch) -> Watch:
    """Also print the name of each stage when it begins: that of a teacher with a budget says what it will cost."""
    from jobs.soft_labels import STAGE

    begun: set[str] = {STAGE}  # also reported for what is only read

    def watched(plan: RunPlan, progress: RunProgress) -> None:
        if progress.stage not in begun:
            screen.note(progress.stage)
        begun.add(progress.stage)
        watch(plan, progress)

    return watched


def _rows(read: Read[FileRow], texts: Sequence[str], labelled: LabelledTexts, spec: TaskSpec) -> Iterator[ModelRow]:
    """Yield a row of the output for each row of the file."""
    import numpy as np

    from tornio.models.decide import decide_labels

    names = decide_labels(labelled.probabilities, spec.label_names, spec.multi_label)
    places = {text: place for place, text in enumerate(texts)}
    for row in read.items:
        if row.problem is not None or row.text is None:
            yield ModelRow(row.record_id, row.text, None, None, None, None, row.problem, row.metadata)
            continue
        place = places[row.text]
        said = labelled.probabilities[place]
        if np.isnan(said).any():
            yield ModelRow(row.record_id, row.text, None, None, None, None, _NO_ANSWER, row.metadata)
            continue
        yield ModelRow(
            row.record_id, row.text, names[place], said, labelled.source, labelled.taught_by, None, row.metadata
        )


def _show(summary: LabelSummary, read: Read[FileRow], file: str, output: str) -> None:
    """Say what was written. Where the labels are printed, all of it goes to stderr."""
    say = screen.note if output == STANDARD_OUTPUT else screen.say
    for line in skipped_lines(read.skipped):
        screen.note(f"{file}: {line.replace('skipped', 'not labelled:', 1)}", style="yellow")
    say(f"read {len(read.items):,} rows ({read.what}), of which {len(read.items) - len(read.skipped):,} have a text")
    for line in summary.lines():
        say(line)
    for line in summary.warnings():
        screen.note(line, style="yellow")
    if output != STANDARD_OUTPUT:
        say(f"wrote {output}")
