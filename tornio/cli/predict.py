"""Commands that classify texts: with a version of a task, or zero-shot without training."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from tornio import files
from tornio.api import ZeroShotPrediction
from tornio.cli import screen
from tornio.cli.connect import TASK_NAME, Context, Json, NoEscapeFormulas, Url, connect
from tornio.cli.data import Delimiter, Encoding, FileFormat, NoHeader, TextColumn
from tornio.cli.predict_file import FileJob, Order, Predictor, predict_file
from tornio.cli.predict_model import predictor_of_model
from tornio.client import Client
from tornio.errors import InvalidInput, TornioError
from tornio.files import Columns, Options
from tornio.files.predicted import Shown
from tornio.files.skipped import skipped_lines
from tornio.records import Prediction
from tornio.spec import LabelSpec
from tornio.visible import has_visible

_PATIENCE_S = 300.0
"""How long a request of a whole file is repeated: long enough for a server to be started again."""
_CANDIDATES = 3
"""How many labels are shown of a text that gets none."""

Texts = Annotated[list[str] | None, typer.Argument(metavar="TEXT...", help="Texts to classify.", show_default=False)]
TextFile = Annotated[
    str | None, typer.Option("--file", "-f", help="File to read the texts from; '-' is standard input.")
]


TaskOrFile = Annotated[
    str | None,
    typer.Argument(
        metavar=TASK_NAME, help="Full name of the task; with --model, the file instead.", show_default=False
    ),
]
TextsOrFile = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="TEXT...|FILE", help="Texts to classify; with --output, the file to classify.", show_default=False
    ),
]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        help="Classify a file, and write its rows with their labels: .csv, .tsv, .jsonl or .parquet.",
    ),
]
Probabilities = Annotated[
    bool, typer.Option("--probabilities", help="With --output: also write the probability of every label.")
]
TopK = Annotated[
    int,
    typer.Option(min=0, help="With --output: also write this many of the most probable labels.", show_default="none"),
]
Sort = Annotated[Order, typer.Option(help="With --output: the order of the rows.")]
Prefix = Annotated[
    str, typer.Option(help="With --output: begins the names of the new columns.", show_default="no prefix")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the output file if it exists.")]
Restart = Annotated[
    bool, typer.Option("--restart", help="With --output: throw the partial result of an interrupted command away.")
]
AtOnce = Annotated[
    int, typer.Option(min=1, max=16, help="With --output: requests that are under way at the same time.")
]
Model = Annotated[
    str | None,
    typer.Option(
        help="With --output, in place of a task: a transformers model for classification, a folder or hub id."
    ),
]
Labels = Annotated[
    str | None,
    typer.Option(help="With --model: names of its labels in its order, separated by commas, if it does not name them."),
]
MultiLabel = Annotated[
    bool, typer.Option("--multi-label", help="With --model: a text may have several labels, if it does not say so.")
]
MaxLength = Annotated[int, typer.Option(min=8, help="With --model: most tokens of a text that it reads.")]


Skip = Annotated[
    int, typer.Option(min=0, help="Leave out this many texts at the beginning, such as those that have a result.")
]


def register(app: typer.Typer) -> None:
    app.command("predict")(predict)
    app.command("zero-shot")(zero_shot)


def predict(
    ctx: Context,
    task: TaskOrFile = None,
    texts: TextsOrFile = None,
    file: TextFile = None,
    output: Output = None,
    probabilities: Probabilities = False,
    top_k: TopK = 0,
    sort: Sort = Order.FILE,
    prefix: Prefix = "",
    overwrite: Overwrite = False,
    restart: Restart = False,
    at_once: AtOnce = 4,
    model: Model = None,
    labels: Labels = None,
    multi_label: MultiLabel = False,
    max_length: MaxLength = 256,
    text_column: TextColumn = None,
    no_header: NoHeader = False,
    encoding: Encoding = None,
    delimiter: Delimiter = None,
    format: FileFormat = None,
    no_escape_formulas: NoEscapeFormulas = False,
    url: Url = None,
    skip: Skip = 0,
    as_json: Json = False,
) -> None:
    """Classify texts with the version that the task serves, and print each result when it arrives; or, with --output,
    classify a whole file of any size.

    With --output the argument behind the task is a file, and all its columns are written again, with the columns label
    (or labels), score, version and truncated. If the command is interrupted, the same command goes on where it stopped.

    With --model no task and no server is needed: tornio predict FILE --model FOLDER --output OUT
    """
    columns, options = Columns(text_column), Options(format, encoding, delimiter, not no_header)
    if output is None:
        _check_only_files(model, probabilities or bool(top_k) or sort is not Order.FILE)
        _predict_texts(ctx, url, _named(task), _texts(texts, file, columns, options, skip), skip, as_json)
        return
    if skip:
        raise InvalidInput("--skip is not needed with --output: the same command goes on where it stopped.")
    task, path = _task_and_file(task, texts or (), file, model)
    options = replace(options, wanted=columns.named)
    shown = Shown(probabilities, top_k)
    escape = not no_escape_formulas
    job = FileJob(path, output, columns, options, shown, sort, prefix, overwrite, restart, escape, as_json)
    job.check()
    if model is not None:
        predict_file(job, predictor_of_model(model, labels, multi_label=multi_label, max_length=max_length))
        return
    if labels or multi_label:
        raise InvalidInput("The task determines its labels. --labels and --multi-label belong to --model.")
    with connect(ctx, url) as client:
        predict_file(job, _served(client, _named(task), at_once))


def _predict_texts(ctx: Context, url: str | None, task: str, wanted: Sequence[str], skip: int, as_json: bool) -> None:
    served: set[str] = set()
    with connect(ctx, url) as client, _classifying(wanted) as advance:

        def predictions() -> Iterator[Prediction]:
            for prediction in client.predict_each(task, wanted, advance):
                served.add(f"{prediction.version} (revision {prediction.revision})")
                yield prediction

        _print(wanted, predictions(), skip, as_json)
    if served and not as_json:
        screen.note(f"predicted by {', '.join(sorted(served))}")


def _named(task: str | None) -> str:
    if task is None:
        raise InvalidInput("Name the task, such as acme/reviews, or a model with --model.")
    return task


def _check_only_files(model: str | None, arranged: bool) -> None:
    """Raises InvalidInput for options that only the output of a file has."""
    if model is not None or arranged:
        raise InvalidInput("--model, --probabilities, --top-k and --sort classify a file. Give --output as well.")


def _task_and_file(
    task: str | None, words: Sequence[str], file: str | None, model: str | None
) -> tuple[str | None, str]:
    """Return the task, if any, and the file that is classified with --output. Raises InvalidInput."""
    if model is not None:
        given = [word for word in (task, *words, file) if word is not None]
        if len(given) != 1:
            raise InvalidInput(
                f"Found {', '.join(given) or 'no file'}. With --model, give one file and no task: tornio predict FILE "
                "--model FOLDER --output OUT"
            )
        return None, given[0]
    given = [word for word in (*words, file) if word is not None]
    if len(given) != 1:
        raise InvalidInput(
            f"Found {len(given)} files. With --output, give one: tornio predict WORKSPACE/TASK FILE --output OUT. To "
            "classify texts of the command line, leave out --output"
        )
    return task, given[0]


def _served(client: Client, task: str, at_once: int) -> Predictor:
    state = client.status(task)

    def predicted(texts: Iterable[str], advance: screen.Advance) -> Iterator[Prediction]:
        return client.predict_each(task, texts, advance, at_once=at_once, retry_seconds=_PATIENCE_S)

    return Predictor(task, tuple(state.labels), state.multi_label, predicted)


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
    if file is None and (names := [text for text in found if _is_file(text)]):
        screen.note(f"{names[0]} is classified as a text. With --output, the file of that name is.", style="yellow")
    for number, text in enumerate(found, 1):
        if not has_visible(text):
            raise InvalidInput(f"Text {number:,} is empty or has no visible character. Nothing was classified.")
    return found[skip:]


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):  # too long, or with a character that no name has
        return False


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
