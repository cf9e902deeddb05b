"""Commands that classify texts: with a version of a task, or zero-shot without training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Annotated

import typer

from tornio import files
from tornio.api import ZeroShotPrediction
from tornio.cli import screen
from tornio.cli.connect import Context, Json, Task, Url, connect
from tornio.cli.data import Encoding, FileFormat, NoHeader, TextColumn, skipped_lines
from tornio.errors import InvalidInput, TornioError
from tornio.files import Columns, Options
from tornio.records import Prediction
from tornio.spec import LabelSpec
from tornio.visible import has_visible

_CANDIDATES = 3
"""How many labels are shown of a text that gets none."""

Texts = Annotated[list[str] | None, typer.Argument(metavar="TEXT...", help="Texts to classify.", show_default=False)]
TextFile = Annotated[
    str | None, typer.Option("--file", "-f", help="File to read the texts from; '-' is standard input.")
]


Skip = Annotated[
    int, typer.Option(min=0, help="Leave out this many texts at the beginning, such as those that have a result.")
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
    skip: Skip = 0,
    as_json: Json = False,
) -> None:
    """Classify texts with the version that the task serves. Each result is printed when it arrives."""
    wanted = _texts(texts, file, Columns(text_column), Options(format, encoding, None, not no_header), skip)
    served: set[str] = set()
    with connect(ctx, url) as client, _classifying(wanted) as advance:

        def predictions() -> Iterator[Prediction]:
            for prediction in client.predict_each(task, wanted, advance):
                served.add(f"{prediction.version} (revision {prediction.revision})")
                yield prediction

        _print(wanted, predictions(), skip, as_json)
    if served and not as_json:
        screen.note(f"predicted by {', '.join(sorted(served))}")


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
    skip: Skip = 0,
    as_json: Json = False,
) -> None:
    """Classify texts without training, by the names and descriptions of the labels. Each result is printed when it
    arrives."""
    labels = [_label(given) for given in label or ()]
    if len(labels) < 2:
        raise InvalidInput(f"Found {len(labels)} labels. Give at least two, such as --label praise --label complaint.")
    wanted = _texts(texts, file, Columns(text_column), Options(format, encoding, None, not no_header), skip)
    with connect(ctx, url) as client, _classifying(wanted) as advance:
        answers = client.zero_shot_each(wanted, labels, multi_label=multi_label, progress=advance)
        _print(wanted, answers, skip, as_json)


def _classifying(texts: Sequence[str]) -> AbstractContextManager[screen.Advance]:
    """The progress bar, unless a terminal shows the results themselves."""
    return screen.progress("classifying", len(texts), quiet=screen.out().is_terminal)


def _print(
    texts: Sequence[str], predictions: Iterator[Prediction | ZeroShotPrediction], skipped: int, as_json: bool
) -> None:
    """Print each prediction when it arrives. If a request fails, say how to go on."""
    done = 0

    def counted() -> Iterator[Prediction | ZeroShotPrediction]:
        nonlocal done
        for prediction in predictions:
            yield prediction
            done += 1

    try:
        if as_json:
            screen.dump_each(counted())
            return
        for text, prediction in zip(texts, counted(), strict=True):
            screen.say(_line(text, prediction.labels, prediction.probabilities, prediction.truncated))
    except (TornioError, KeyboardInterrupt):
        if done:
            screen.note(
                f"{done:,} of {len(texts):,} texts were classified, {len(texts) - done:,} were not. Go on with the "
                f"same command and --skip {skipped + done}",
                style="yellow",
            )
        raise


def _label(given: str) -> LabelSpec:
    name, equals, description = given.partition("=")
    return LabelSpec(name=name, description=description if equals else None)


def _texts(texts: Sequence[str] | None, file: str | None, columns: Columns, options: Options, skip: int) -> list[str]:
    """Return the texts to classify. Raises InvalidInput if there is none, or for one that is empty."""
    if bool(texts) == (file is not None):
        raise InvalidInput("Give either texts, or --file with texts.")
    found = list(texts or ()) if file is None else _texts_of(file, columns, options)
    if not found[skip:]:
        left_out = f", and --skip leaves out the first {skip:,}" if skip else ""
        raise InvalidInput(f"There is nothing to classify: found {len(found):,} texts{left_out}.")
    for number, text in enumerate(found, 1):
        if not has_visible(text):
            raise InvalidInput(f"Text {number:,} is empty or has no visible character. Nothing was classified.")
    return found[skip:]


def _texts_of(file: str, columns: Columns, options: Options) -> list[str]:
    options = Options(options.format, options.encoding, None, options.header, columns.named)
    read = files.read_texts(files.open_data(file, options), columns, file)
    for line in skipped_lines(read.skipped):
        screen.note(f"{file}: {line}", style="yellow")
    return list(read.items)


def _listed(labels: Sequence[str], probabilities: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {probabilities.get(name, 0):.2f}" for name in labels)


def _best(probabilities: Mapping[str, float]) -> list[str]:
    """Return the most probable labels, for a text that gets none."""
    return sorted(probabilities, key=lambda name: -probabilities[name])[:_CANDIDATES]


def _line(text: str, labels: Sequence[str], probabilities: Mapping[str, float], truncated: bool) -> screen.Text:
    result = _listed(labels, probabilities) or f"none ({_listed(_best(probabilities), probabilities)})"
    shown = text.replace("\n", " ")
    line = screen.Text.assemble((result, "bold"), "  ", shown if len(shown) <= 100 else shown[:97] + "...")
    if truncated:
        line.append("  (only the beginning of the text was read)", style="yellow")
    return line
