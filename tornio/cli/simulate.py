"""The command ``tornio simulate``: what a query strategy would have saved on labelled texts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tornio.api import SimulateRequest
from tornio.cli import screen
from tornio.cli.connect import Json, MaybeTask
from tornio.cli.labelled_files import LabelledFiles, run_on_labels
from tornio.cli.options import options_of
from tornio.files.cells import SEPARATOR
from tornio.plugins import late

if TYPE_CHECKING:
    from tornio.schemas.simulation import SimulateOutput, StopRow

_SHOWN = 5
"""Most numbers of labels in the table of a terminal; the report has all."""


@options_of(SimulateRequest)
def simulate(
    request: SimulateRequest,
    task: MaybeTask = None,
    data: Annotated[str | None, typer.Option(help="Replay on this labelled file instead of a task.")] = None,
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
    """Replay query strategies on labelled texts: what each would have saved, and when to stop.

    The labels are hidden, and a strategy asks for them batch by batch, as in a task. After each batch a model learns
    from the labels so far and is judged by texts that are never asked for. Nothing else is read: never the hold-out of
    a task.

    Start the same command again to continue an interrupted run: replays that are done are not repeated.
    """
    read = LabelledFiles(text_column, label_column, multi_label, separator, spec)
    plan = late("jobs.simulate", "plan")
    values = run_on_labels(request, plan, task, data, test, read, report, output, quiet=as_json)
    from tornio.schemas.simulation import SimulateOutput

    done = SimulateOutput.model_validate(values)
    if as_json:
        screen.dump(done.model_dump(mode="json"))
        return
    _tables(done)
    screen.say(done.conclusion)


def _tables(done: SimulateOutput) -> None:
    from tornio.comparison.page import shown
    from tornio.simulation.page import labels, points

    every = sorted({row.labels for row in done.rows})
    sizes = sorted({every[round(place * (len(every) - 1) / (_SHOWN - 1))] for place in range(_SHOWN)} if every else ())
    scores = {(row.arm, row.labels): shown(row.micro_f1) for row in done.rows}
    arms = dict.fromkeys(row.arm for row in done.rows)
    screen.say("micro F1 by the number of labels (mean ± half of the 90 % interval)")
    cells = [(arm, *(scores.get((arm, size), "") for size in sizes)) for arm in arms]
    screen.show(screen.table(("=strategy", *(f"#{size:,}" for size in sizes)), cells))
    if done.savings:
        rows = [(one.arm, labels(one.labels), points(one.points)) for one in done.savings]
        screen.show(screen.table(("against random", "#labels saved", "#points"), rows))
    if done.stops:
        stopped = [
            (one.arm, one.criterion, f"{one.stopped} of {one.seeds}", labels(one.labels), _score(one))
            for one in done.stops
        ]
        screen.show(screen.table(("=strategy", "criterion", "#stopped", "#labels", "#micro F1"), stopped))
    for arm, errors in done.errors.items():
        for error in errors:
            screen.note(f"{arm}: {error}", style="yellow")


def _score(row: StopRow) -> str:
    from tornio.comparison.page import shown

    return shown(row.micro_f1) if row.micro_f1 else ""
