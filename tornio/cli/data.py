"""Commands that import and export data: pool add, pool delete, labels import, export labels and export corrected."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from tornio import files
from tornio.api import LabelIn, LabelledRecord, LabelsImported
from tornio.cli import screen
from tornio.cli.connect import Context, Json, NoEscapeFormulas, Task, Url, connect
from tornio.cli.corrected import export_corrected
from tornio.cli.deleting import deleted_before, pool_delete, purge
from tornio.cli.exporting import export_model
from tornio.cli.relabel import labels_migrate
from tornio.errors import InvalidFile, InvalidInput
from tornio.files import Columns, Format, Options, Read, Reader
from tornio.files.cells import SEPARATOR
from tornio.files.rows import ID_NAMES, LABEL_NAMES, TEXT_NAMES
from tornio.files.skipped import skipped_lines
from tornio.records import Purpose, text_digest

File = Annotated[
    str,
    typer.Argument(
        help="File to read: CSV, TSV, JSON lines, Parquet or plain lines; '-' is standard input.", show_default=False
    ),
]
TextColumn = Annotated[
    str | None,
    typer.Option(
        help="Column that holds the text.", show_default=f"the first that the file has of: {', '.join(TEXT_NAMES)}"
    ),
]
IdColumn = Annotated[
    str | None,
    typer.Option(help="Column that holds the record id.", show_default=f"{' or '.join(ID_NAMES)}, if present"),
]
MetadataColumns = Annotated[
    str | None,
    typer.Option(help="Columns to keep as metadata, separated by commas.", show_default="none"),
]
NoHeader = Annotated[
    bool,
    typer.Option(
        "--no-header",
        help="The first line is data. The file has one text per line or, with --text-column 2, is a CSV whose columns "
        "are named 1, 2, ...",
    ),
]
Encoding = Annotated[str | None, typer.Option(help="Character encoding of the file.", show_default="UTF-8")]
Delimiter = Annotated[str | None, typer.Option(help="Character between the columns of a CSV.", show_default="detected")]
FileFormat = Annotated[
    Format | None, typer.Option("--format", help="Format of the file.", show_default="by its extension")
]


def register(app: typer.Typer) -> None:
    pool = typer.Typer(no_args_is_help=True, help="Manage the texts of a task.")
    pool.command("add")(pool_add)
    pool.command("delete")(pool_delete)
    app.add_typer(pool, name="pool")
    app.command("purge")(purge)
    labels = typer.Typer(no_args_is_help=True, help="Import labels that exist already, and change labels.")
    labels.command("import")(labels_import)
    labels.command("migrate")(labels_migrate)
    app.add_typer(labels, name="labels")
    export = typer.Typer(
        no_args_is_help=True, help="Export the labels or the model of a task, or the corrected data of a review."
    )
    export.command("labels")(export_labels)
    export.command("model")(export_model)
    export.command("corrected")(export_corrected)
    app.add_typer(export, name="export")


def pool_add(
    ctx: Context,
    task: Task,
    file: File,
    text_column: TextColumn = None,
    id_column: IdColumn = None,
    metadata_columns: MetadataColumns = None,
    no_header: NoHeader = False,
    duplicates: Annotated[
        bool, typer.Option("--duplicates", help="Also add texts that the pool has under another id.")
    ] = False,
    encoding: Encoding = None,
    delimiter: Delimiter = None,
    format: FileFormat = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Add the texts of a file to the pool of a task. Adding them again is harmless."""
    columns = Columns(text_column, id_column, None, split_names(metadata_columns))
    options = Options(format, encoding, delimiter, not no_header, columns.named)
    with opened(file, options) as reader:
        read = files.read_records(reader, columns, file)
    with (
        connect(ctx, url) as client,
        screen.progress("sending texts", len(read.items), quiet=as_json) as advance,
    ):
        added = client.add_records(task, read.items, advance, duplicates=duplicates)
    if as_json:
        screen.dump({**added.model_dump(), **_read_as_json(read)})
        return
    _say_read(read, "texts", file)
    screen.say(f"added {added.added:,} records to the pool of {task}; {added.known:,} existed already")
    if added.same_text:
        which = "were added although the pool has" if duplicates else "were left out, because the pool has"
        more = "" if duplicates else ". --duplicates adds them"
        screen.note(f"{added.same_text:,} records {which} their text under another id{more}", style="yellow")
    if added.deleted:
        screen.note(deleted_before(added.deleted), style="yellow")


@contextmanager
def opened(file: str, options: Options) -> Iterator[Reader]:
    """Open a local file, or one in S3 with credentials of the usual chain and the endpoint of TORNIO_S3_ENDPOINT."""
    if not file.startswith("s3://"):
        yield files.open_data(file, options)
        return
    with downloaded(file) as path:
        yield files.open_data(path, options, file)


@contextmanager
def downloaded(file: str) -> Iterator[Path]:
    """The path of a copy of a file in S3, which is removed afterwards. Raises InvalidFile, NotFound."""
    try:
        from tornio.files.sources import find_files, on_disk

        sources = find_files(file)
    except ImportError as error:
        raise InvalidFile(
            f"{file} needs an extra that is not installed ({error}). Run: pip install 'tornio[cluster]'"
        ) from error
    if len(sources) != 1:
        raise InvalidFile(f"{file} is a folder of {len(sources)} files. Give them one by one.")
    with on_disk(sources[0]) as path:
        yield path


def labels_import(
    ctx: Context,
    task: Task,
    file: File,
    holdout: Annotated[
        bool, typer.Option("--holdout", help="Use these labels to evaluate models, never to train them.")
    ] = False,
    holdout_share: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="Use this share of the labels to evaluate models, and the others to train them. The same text always "
            "falls on the same side.",
            show_default=False,
        ),
    ] = None,
    auto: Annotated[
        bool,
        typer.Option(
            "--auto",
            help="A model gave these labels, which --source names. They train until somebody labels the text, never "
            "outrank a person's, and never evaluate models.",
        ),
    ] = False,
    source: Annotated[
        str | None, typer.Option(help="Where the labels come from.", show_default="the name of the file")
    ] = None,
    text_column: TextColumn = None,
    label_column: Annotated[
        str | None,
        typer.Option(
            help="Column that holds the label.",
            show_default=f"the first that the file has of: {', '.join(LABEL_NAMES)}",
        ),
    ] = None,
    separator: Annotated[str, typer.Option(help="Text between the labels of a row that has several.")] = SEPARATOR,
    id_column: IdColumn = None,
    metadata_columns: MetadataColumns = None,
    no_header: NoHeader = False,
    encoding: Encoding = None,
    delimiter: Delimiter = None,
    format: FileFormat = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Import texts whose labels are known already. New texts are added to the pool."""
    columns = Columns(text_column, id_column, label_column, split_names(metadata_columns))
    options = Options(format, encoding, delimiter, not no_header, columns.named)
    _check_auto(auto, holdout or holdout_share is not None, source)
    share = 1.0 if holdout else holdout_share or 0.0
    with connect(ctx, url) as client:
        state = client.status(task)
        with opened(file, options) as reader:
            read = files.read_labels(reader, columns, file, multi_label=state.multi_label, separator=separator)
        _check_labels(read.items, state.labels, file)
        with screen.progress("sending labels", len(read.items), quiet=as_json) as advance:
            source = source or (None if file == "-" else Path(file).name)
            done = {
                purpose: client.import_labels(task, items, purpose, source, advance, auto=auto)
                for purpose, items in _divided(read.items, share).items()
            }
    if as_json:
        total = sum(done.values(), LabelsImported())
        each = (
            {"by_purpose": {str(purpose): one.model_dump() for purpose, one in done.items()}} if len(done) > 1 else {}
        )
        screen.dump({**total.model_dump(), **each, **_read_as_json(read)})
        return
    _say_read(read, "labels", file)
    for purpose, imported in done.items():
        _say_imported(imported, task, "for evaluation" if purpose is Purpose.HOLDOUT else "for training")


def export_labels(
    ctx: Context,
    task: Task,
    output: Annotated[
        str,
        typer.Option("--output", "-o", help="File to write: .csv, .tsv, .jsonl or .parquet; '-' prints JSON lines."),
    ] = "-",
    no_escape_formulas: NoEscapeFormulas = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Write the labels that the task takes as true: record, text, labels, and the source of the labels."""
    write = None if output == "-" else files.writer_for(Path(output), escape=not no_escape_formulas)
    count = 0
    with connect(ctx, url) as client:

        def counted(records: Iterator[LabelledRecord]) -> Iterator[LabelledRecord]:
            nonlocal count
            with screen.progress("reading labels", None, quiet=as_json or write is None) as advance:
                for record in records:
                    count += 1
                    advance(1)
                    yield record

        records = counted(client.labels(task))
        if write is None:
            for record in records:
                screen.dump_line(record)
            return
        write(records)
    if as_json:
        screen.dump({"path": output, "labels": count})
    else:
        screen.say(f"wrote {count:,} labels to {output}")


def split_names(text: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip()) if text else ()


def _divided(labels: Sequence[LabelIn], holdout_share: float) -> dict[Purpose | str, list[LabelIn]]:
    """The labels for evaluation and those for training; only what there is. A digest of the text decides."""
    divided: dict[Purpose | str, list[LabelIn]] = {}
    for label in labels:
        held = int(text_digest(label.text)[:8], 16) < holdout_share * 2**32
        divided.setdefault(Purpose.HOLDOUT if held else "train", []).append(label)
    return divided


def _check_labels(labels: Sequence[LabelIn], task_labels: Sequence[str], where: str) -> None:
    """Refuse labels that the task does not have, before anything is sent."""
    unknown: dict[str, int] = {}
    for label in labels:
        for name in label.labels:
            if name not in task_labels:
                unknown[name] = unknown.get(name, 0) + 1
    if not unknown:
        return
    shown = ", ".join(f"{name!r} ({count} x)" for name, count in list(unknown.items())[:10])
    more = f" and {len(unknown) - 10} more" if len(unknown) > 10 else ""
    raise InvalidFile(
        f"{where} has labels that the task does not have: {shown}{more}. The task has "
        f"{', '.join(map(repr, task_labels))}. Nothing was imported."
    )


def _check_auto(auto: bool, holdout: bool, source: str | None) -> None:
    """Raises InvalidInput for labels by a model that would evaluate models, or that no source names."""
    if auto and (holdout or not source):
        raise InvalidInput(
            "Labels by a model do not evaluate models. Leave out --auto, or --holdout and --holdout-share."
            if holdout
            else "--auto needs --source with the name of the model that gave the labels."
        )


def _say_imported(imported: LabelsImported, task: str, use: str) -> None:
    screen.say(
        f"imported the labels of {imported.imported:,} texts {use} into {task}; {imported.unchanged:,} texts had the "
        f"same labels already; {imported.records_added:,} records were added to the pool"
    )
    if imported.trains:
        screen.note(
            f"{imported.trains:,} texts were left out: they train already (they were imported for training, or "
            "a batch asked for them), and a version is not judged by texts that it was trained on",
            style="yellow",
        )
    if imported.judges:
        screen.note(
            f"{imported.judges:,} texts were left out: they are hold-out, which never trains",
            style="yellow",
        )
    if imported.deleted:
        screen.note(deleted_before(imported.deleted), style="yellow")
    if imported.replaced:
        screen.note(
            f"{imported.replaced:,} texts had other labels from an earlier import. The new ones count", style="yellow"
        )
    if imported.seen:
        screen.note(
            f"{imported.seen:,} of the texts had automatic labels, on which versions may have been trained. They do "
            "not train from now on, but the versions of until now may look better on them than they are",
            style="yellow",
        )


def _say_read(read: Read[object], what: str, file: str) -> None:
    screen.say(f"read {len(read.items):,} {what} ({read.what})")
    for line in skipped_lines(read.skipped):
        screen.note(f"{file}: {line}", style="yellow")
    if read.contradictions:
        first = read.contradictions[0]
        screen.note(
            f"{file}: {len(read.contradictions):,} rows contradict an earlier one; line {first.line}: {first.reason}",
            style="yellow",
        )


def _read_as_json(read: Read[object]) -> dict[str, object]:
    return {
        "read": len(read.items),
        "read_as": read.what,
        "skipped": [{"line": skip.line, "reason": skip.reason} for skip in read.skipped],
        "contradictions": [{"line": skip.line, "reason": skip.reason} for skip in read.contradictions],
    }
