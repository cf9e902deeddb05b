"""The command ``tornio compare``: which training method pays, and what more labels would bring."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tornio.api import CompareRequest
from tornio.cli import screen
from tornio.cli.connect import Json, MaybeTask
from tornio.cli.labelled_files import LabelledFiles, run_on_labels
from tornio.cli.options import options_of
from tornio.files.cells import SEPARATOR
from tornio.plugins import late

if TYPE_CHECKING:
    from tornio.schemas.comparison import CompareOutput


@options_of(CompareRequest)
def compare(
    request: CompareRequest,
    task: MaybeTask = None,
    data: Annotated[str | None, typer.Option(help="Compare on this labelled file instead of a task.")] = None,
    test: Annotated[
        str | None,
        typer.Option(help="With --data: labelled file that judges.", show_default="cross-validation over --data"),
    ] = None,
    text_column: Annotated[str | None, typer.Option(help="With --data: column that holds the text.")] = None,
    label_column: Annotated[str | None, typer.Option(help="With --data: column that holds the label.")] = None,
    multi_label: Annotated[bool, typer.Option("--multi-label", help="With --data: a text may have several.")] = False,
    separator: Annotated[str, typer.Option(help="With --data: text between the labels of a row.")] = SEPARATOR,
    spec: Annotated[
        Path | None,
        typer.Option(help="With --data: task.yaml whose classifier, training, teacher and other settings are used."),
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Write the report, one HTML file, to this path.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write all results, as Parquet.")] = None,
    as_json: Json = False,
) -> None:
    """Compare training methods: what each scores with how many labels, and what more labels would bring.

    Each training learns from a part of the labels and is judged by others, never by the hold-out of a task. Baselines
    are always there: the majority, naive Bayes on words, nearest neighbours, and the teacher.

    Start the same command again to continue an interrupted run: trainings that are done are not repeated.
    """
    read = LabelledFiles(text_column, label_column, multi_label, separator, spec)
    plan = late("jobs.compare", "plan")
    values = run_on_labels(request, plan, task, data, test, read, report, output, quiet=as_json)
    from tornio.schemas.comparison import CompareOutput

    done = CompareOutput.model_validate(values)
    if as_json:
        screen.dump(done.model_dump(mode="json"))
        return
    _table(done)
    screen.say(done.use_now)
    screen.say(done.next_labels)


def _table(done: CompareOutput) -> None:
    from tornio.comparison.page import shown

    sizes = sorted({row.size for row in done.rows})
    rows: dict[str, dict[int, str]] = {}
    for row in done.rows:
        rows.setdefault(row.contender, {})[row.size] = shown(row.micro_f1)
    heads = ["#no label" if not size else f"#{size:,}" for size in sizes]
    screen.say("micro F1 by the number of labels (mean ± half of the 90 % interval)")
    cells = [(name, *(of.get(size, "") for size in sizes)) for name, of in rows.items()]
    screen.show(screen.table(("contender", *heads), cells))
    for row in done.rows:
        for error in row.errors:
            screen.note(f"{row.contender}, {row.size}: {error}", style="yellow")
