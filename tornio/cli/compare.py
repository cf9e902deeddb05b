"""The command ``tornio compare``: which training method pays, and what more labels would bring."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tornio.api import CompareRequest, TaskName
from tornio.cli import screen
from tornio.cli.connect import Json
from tornio.cli.here import bars, check_extra, context_here
from tornio.cli.labelled_files import LabelledFiles, check_outputs, task_of_files
from tornio.cli.options import options_of
from tornio.errors import InvalidInput
from tornio.files.cells import SEPARATOR
from tornio.files.whole import writing

if TYPE_CHECKING:
    from jobs.context import JobContext
    from tornio.schemas.comparison import CompareOutput


@options_of(CompareRequest)
def compare(
    request: CompareRequest,
    task: Annotated[
        str | None, typer.Argument(metavar="[WORKSPACE/TASK]", help="Compare on the labels of this task.")
    ] = None,
    data: Annotated[str | None, typer.Option(help="Compare on this labelled file instead of a task.")] = None,
    test: Annotated[
        str | None,
        typer.Option(help="With --data: labelled file that judges.", show_default="cross-validation over --data"),
    ] = None,
    text_column: Annotated[str | None, typer.Option(help="With --data: column that holds the text.")] = None,
    label_column: Annotated[str | None, typer.Option(help="With --data: column that holds the label.")] = None,
    multi_label: Annotated[bool, typer.Option("--multi-label", help="With --data: a text may have several.")] = False,
    separator: Annotated[str, typer.Option(help="With --data: text between the labels of a row.")] = SEPARATOR,
    report: Annotated[Path | None, typer.Option(help="Write the report, one HTML file, to this path.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write all results, as Parquet.")] = None,
    as_json: Json = False,
) -> None:
    """Compare training methods: what each scores with how many labels, and what more labels would bring.

    Each training learns from a part of the labels and is judged by others, never by the hold-out of a task. Baselines
    are always there: the majority, naive Bayes on words, nearest neighbours, and the teacher.

    Start the same command again to continue an interrupted run: trainings that are done are not repeated.
    """
    if (task is None) == (data is None):
        raise InvalidInput("name a task, or give a labelled file with --data; not both")
    if test is not None and data is None:
        raise InvalidInput("--test needs --data: a task is judged by cross-validation over its own labels")
    check_extra()
    check_outputs(report, output, data, test)
    from jobs.compare import plan as planned
    from jobs.running.driver import drive

    if data is None:
        context, name = context_here(), TaskName.parse(str(task))
    else:
        read = LabelledFiles(text_column, label_column, multi_label, separator)
        context, name = task_of_files(read, data, test, quiet=as_json)
    plan = planned(request, name, context, on_test=test is not None, data=data or "")
    if not as_json:
        screen.note(f"run {plan.run}. If it is interrupted, start the same command again: it goes on where it stopped")
    with bars(quiet=as_json) as watch:
        result = drive(plan, context, watch)
    _show(result.output, context, report, output, as_json)


def _show(
    values: dict[str, object], context: JobContext, report: Path | None, output: Path | None, as_json: bool
) -> None:
    from tornio.schemas.comparison import CompareOutput

    done = CompareOutput.model_validate(values)
    for path, key in ((report, done.report), (output, done.results)):
        if path is not None:
            with writing(path) as part:
                part.write_bytes(context.store.get(key).body)
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
