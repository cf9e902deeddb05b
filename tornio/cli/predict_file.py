"""Classify the texts of a whole file: ``tornio predict ... --output``. An interrupted command goes on where it was."""

from __future__ import annotations

import shutil
import sys
import tempfile
from array import array
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Any

from tornio.cli import screen
from tornio.cli.data import downloaded
from tornio.errors import Changed, InvalidFile, InvalidInput, TornioError
from tornio.files import Columns, Options
from tornio.files.kept import KeptFile, Survey, in_order_of, open_kept, survey
from tornio.files.partial import Partial, open_partial, read_answer
from tornio.files.predicted import Answer, Layout, Shown, answer_of, check_predicted, write_predicted
from tornio.records import Prediction
from tornio.storage.files import sha256_of

STANDARD_INPUT = "-"
_S3 = "s3://"


class Order(StrEnum):
    """The order of the rows that are written."""

    FILE = "file"
    LEAST_CERTAIN = "least-certain"


@dataclass(frozen=True, slots=True)
class Predictor:
    """What predicts. ``name``: tells it from others, in a partial result. ``predict``: yields the predictions of texts
    in their order as they arrive, and calls the function with the number of new ones."""

    name: str
    labels: tuple[str, ...]
    several: bool
    predict: Callable[[Iterable[str], screen.Advance], Iterator[Prediction]]


@dataclass(frozen=True, slots=True)
class FileJob:
    """What the options of the command ask for. ``file``: a path, ``s3://bucket/key``, or '-'."""

    file: str
    output: Path
    columns: Columns
    options: Options
    shown: Shown
    order: Order
    prefix: str
    overwrite: bool
    restart: bool
    escape: bool
    quiet: bool

    def check(self) -> None:
        """Raises InvalidFile and InvalidInput before anything is read."""
        if self.shown.all and self.shown.top:
            raise InvalidInput("--probabilities writes those of all labels. Leave it out, or --top-k")
        check_predicted(self.output)
        here = Path(self.file)
        if not self.file.startswith(_S3) and self.file != STANDARD_INPUT and not here.is_file():
            raise InvalidFile(
                f"no file {self.file} exists. With --output, a file is classified. Texts need no --output"
            )
        if self.output.exists():
            if here.exists() and self.output.samefile(here):
                raise InvalidFile(f"{self.output} is the file that is read: give another --output")
            if not self.overwrite:
                raise InvalidFile(f"{self.output} exists already: give another --output, or --overwrite to replace it")

    def head(self, digest: str, predictor: Predictor) -> dict[str, str]:
        """What a partial result is a part of."""
        options = self.options
        reading = (self.columns.text, options.format, options.encoding, options.delimiter, options.header)
        return {
            "the input": digest,
            "the task or model": predictor.name,
            "how the file is read": ", ".join(map(str, reading)),
            "which probabilities are written": str(self.shown),
        }


@dataclass(slots=True)
class Summary:
    """What the answers show together. ``certainties``: float64, in the order of the rows; empty if not wanted."""

    rows: int
    versions: Counter[str]
    truncated: int
    labels: tuple[str, ...]
    certainties: array[float]


def predict_file(job: FileJob, predictor: Predictor) -> None:
    """Predict the rows of a file, write them, and say what was done. Raises InvalidFile and InvalidInput."""
    with _on_disk(job.file) as path:
        digest = sha256_of(path)
        where = "standard input" if job.file == STANDARD_INPUT else job.file
        kept = open_kept(path, job.columns, job.options, where)
        layout = Layout(kept.columns, {}, predictor.several, predictor.labels, job.shown, job.prefix)
        layout.check()
        seen = survey(kept, where, typed=job.output.suffix.lower() == ".parquet")
        with open_partial(job.output, job.head(digest, predictor), restart=job.restart) as partial:
            resumed = partial.done
            if resumed and not job.quiet:
                screen.note(f"{resumed:,} of {seen.rows:,} rows are classified already. The others follow")
            _predict(job, predictor, kept, partial, seen.rows)
            summary = _summary(partial, predictor, sort=job.order is Order.LEAST_CERTAIN)
            layout = replace(layout, types=seen.types, names=summary.labels)

            def unchanged(rows: Iterator[tuple[Mapping[str, Any], Answer]]) -> Iterator[tuple[Any, Answer]]:
                count = 0
                for row in rows:
                    count += 1
                    yield row
                if count != seen.rows or sha256_of(path) != digest:
                    raise Changed(f"{where} has changed while it was read. Start again with --restart")

            rows = unchanged(_rows(kept, partial, summary))
            write_predicted(rows, job.output, layout, escape=job.escape)
    _say(job, where, kept, seen, summary, resumed)


def _predict(job: FileJob, predictor: Predictor, kept: KeptFile, partial: Partial, rows: int) -> None:
    """Add the answers that the partial result lacks. What has arrived is kept, whatever happens."""
    texts = islice(kept.texts(), partial.done, None)
    arrived: deque[Answer] = deque()
    with screen.progress("classifying", rows, quiet=job.quiet) as advance:
        advance(partial.done)

        def keep(number: int) -> None:
            partial.append(arrived)
            arrived.clear()
            advance(number)

        try:
            for one in predictor.predict(texts, keep):
                arrived.append(
                    answer_of(
                        one.version,
                        one.labels,
                        one.probabilities,
                        several=predictor.several,
                        truncated=one.truncated,
                        shown=job.shown,
                    )
                )
        except (TornioError, KeyboardInterrupt):
            keep(len(arrived))
            screen.note(
                f"{partial.done:,} of {rows:,} rows are classified and kept in {partial.path}. Start the same command "
                "again to go on",
                style="yellow",
            )
            raise
        keep(len(arrived))


def _summary(partial: Partial, predictor: Predictor, *, sort: bool) -> Summary:
    """Read all answers once. Labels that a later version has follow those of the first."""
    summary = Summary(0, Counter(), 0, (), array("d"))
    names = dict.fromkeys(predictor.labels)
    for line in partial.lines():
        answer = read_answer(line)
        summary.rows += 1
        summary.versions[answer.version] += 1
        summary.truncated += answer.truncated
        names.update(dict.fromkeys(answer.probabilities))
        if sort:
            summary.certainties.append(answer.certainty)
    summary.labels = tuple(names)
    return summary


def _rows(kept: KeptFile, partial: Partial, summary: Summary) -> Iterator[tuple[Mapping[str, Any], Answer]]:
    def pairs() -> Iterator[tuple[Mapping[str, Any], str]]:
        return zip(kept.rows(), partial.lines(), strict=False)

    ordered = in_order_of(pairs, summary.certainties) if summary.certainties else pairs()
    return ((row, read_answer(line)) for row, line in ordered)


def _say(job: FileJob, where: str, kept: KeptFile, seen: Survey, summary: Summary, resumed: int) -> None:
    if job.quiet:
        skipped = [{"line": skip.line, "reason": skip.reason} for skip in seen.skipped.first]
        said = {"path": str(job.output), "rows": summary.rows, "resumed": resumed, "versions": dict(summary.versions)}
        screen.dump({**said, "truncated": summary.truncated, "skipped": seen.skipped.count, "skipped_first": skipped})
        return
    for line in seen.skipped.lines():
        screen.note(f"{where}: {line}", style="yellow")
    by = ", ".join(f"{version} ({rows:,})" for version, rows in summary.versions.items())
    one = next(iter(summary.versions))
    screen.say(
        f"wrote {summary.rows:,} rows to {job.output} (read as {kept.reader.what}), predicted by "
        f"{one if len(summary.versions) == 1 else by}"
    )
    if len(summary.versions) > 1:
        screen.note(
            "The version that serves changed meanwhile. The column version says which one predicted each row. For one "
            "version in all rows, start again with --overwrite",
            style="yellow",
        )
    if summary.truncated:
        screen.note(f"{summary.truncated:,} texts are longer than what the model reads: column truncated")


@contextmanager
def _on_disk(file: str) -> Iterator[Path]:
    """The path of the file on this machine. Standard input and files in S3 are copied, and removed afterwards."""
    if file == STANDARD_INPUT:
        with tempfile.TemporaryDirectory(prefix="tornio-") as folder:
            path = Path(folder) / "input"
            with path.open("wb") as out:
                shutil.copyfileobj(sys.stdin.buffer, out)
            yield path
    elif file.startswith(_S3):
        with downloaded(file) as path:
            yield path
    else:
        yield Path(file)
