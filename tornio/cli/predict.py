"""Commands that classify texts: with a version of a task, or zero-shot without training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import typer
from rich.text import Text

from tornio import files
from tornio.cli import screen
from tornio.cli.connect import Context, Json, Task, Url, connect
from tornio.cli.data import Encoding, FileFormat, NoHeader, TextColumn, skipped_lines
from tornio.errors import InvalidInput
from tornio.files import Columns, Options
from tornio.spec import LabelSpec

Texts = Annotated[list[str] | None, typer.Argument(metavar="TEXT...", help="Texts to classify.", show_default=False)]
TextFile = Annotated[
    str | None, typer.Option("--file", "-f", help="File to read the texts from; '-' is standard input.")
]


def register(app: typer.Typer) -> None:
    app.command("predict")(predict)
    app.command("zero-shot")(zero_shot)


def predict(
    ctx: Context,
    task: Task,
    texts: Texts = None,
    file: TextFile = None,
    text_column: TextColumn = None,
    no_header: NoHeader = False,
    encoding: Encoding = None,
    format: FileFormat = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Classify texts with the version that the task serves."""
    wanted = _texts(texts, file, Columns(text_column), Options(format, encoding, None, not no_header))
    with (
        connect(ctx, url) as client,
        screen.progress("classifying", len(wanted), quiet=as_json) as advance,
    ):
        predictions = client.predict(task, wanted, advance)
    if as_json:
        screen.dump(predictions)
        return
    for text, prediction in zip(wanted, predictions, strict=True):
        screen.say(_line(text, prediction.labels, prediction.probabilities, prediction.truncated))
    served = sorted({f"{prediction.version} (revision {prediction.revision})" for prediction in predictions})
    screen.note(f"predicted by {', '.join(served)}")


def zero_shot(
    ctx: Context,
    texts: Texts = None,
    label: Annotated[
        list[str] | None,
        typer.Option("--label", "-l", help="A label, or label=description. Give at least two.", show_default=False),
    ] = None,
    multi_label: Annotated[bool, typer.Option("--multi-label", help="Allow several labels per text.")] = False,
    file: TextFile = None,
    text_column: TextColumn = None,
    no_header: NoHeader = False,
    encoding: Encoding = None,
    format: FileFormat = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Classify texts without training, by the names and descriptions of the labels."""
    labels = [_label(given) for given in label or ()]
    if len(labels) < 2:
        raise InvalidInput(f"Found {len(labels)} labels. Give at least two, such as --label praise --label complaint.")
    wanted = _texts(texts, file, Columns(text_column), Options(format, encoding, None, not no_header))
    with (
        connect(ctx, url) as client,
        screen.progress("classifying", len(wanted), quiet=as_json) as advance,
    ):
        predictions = client.zero_shot(wanted, labels, multi_label=multi_label, progress=advance)
    if as_json:
        screen.dump(predictions)
        return
    for text, prediction in zip(wanted, predictions, strict=True):
        screen.say(_line(text, prediction.labels, prediction.probabilities, prediction.truncated))


def _label(given: str) -> LabelSpec:
    name, equals, description = given.partition("=")
    return LabelSpec(name=name, description=description if equals else None)


def _texts(texts: Sequence[str] | None, file: str | None, columns: Columns, options: Options) -> list[str]:
    if bool(texts) == (file is not None):
        raise InvalidInput("Give either texts, or --file with texts.")
    if file is None:
        return list(texts or ())
    options = Options(options.format, options.encoding, None, options.header, columns.named)
    read = files.read_records(files.load(file, options), columns, file)
    for line in skipped_lines(read.skipped):
        screen.note(line, style="yellow")
    return [record.text for record in read.items]


def _line(text: str, labels: Sequence[str], probabilities: Mapping[str, float], truncated: bool) -> Text:
    result = ", ".join(f"{name} {probabilities.get(name, 0):.2f}" for name in labels) or "none"
    shown = text.replace("\n", " ")
    line = Text.assemble((result, "bold"), "  ", shown if len(shown) <= 100 else shown[:97] + "...")
    if truncated:
        line.append("  (only the beginning of the text was read)", style="yellow")
    return line
