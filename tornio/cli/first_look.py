"""What ``tornio init`` sees in a file, with the columns that are chosen for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tornio.cli import screen
from tornio.cli.asking import Questions
from tornio.cli.data import opened
from tornio.errors import InvalidFile
from tornio.files.looking import MAX_LABELS, ColumnLook, Found, Guess, guess, has_no_header, look, read_all
from tornio.files.rows import ID_NAMES
from tornio.files.tables import Format, Options, Reader

TAUGHT_TEXTS = 100
"""A student needs 20 texts at least, beside those that are held out, copies, and those that people label."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What the file holds, and the columns that were chosen. ``text``: empty for a file with a text per line.

    ``no_id``: a column that looked like the ids, and has the same value for different texts.
    """

    what: str
    header: bool
    text: str
    record_id: str | None
    label: str | None
    found: Found
    no_id: str | None = None


def look_at(
    file: str, options: Options, named: tuple[str | None, ...], questions: Questions, labels_given: bool
) -> Seen:
    """Choose the columns of a file and read all of its rows. ``named``: the columns of text, id and label, where given.

    Raises InvalidFile, and InvalidInput if a question has no answer.
    """
    with opened(file, options) as reader:
        is_named = any(name in (reader.columns or ()) for name in named)  # a question may be the name of a column
        header = options.header and (is_named or not (_is_delimited(reader) and has_no_header(reader.columns)))
    if not header:  # as `pool add --no-header` reads it: with numbers as the names of several columns, else as lines
        options = Options(options.format, options.encoding, options.delimiter, False, ("1",))
        with opened(file, options) as reader:
            if reader.columns is not None and len(reader.columns) == 1:
                options = Options(Format.LINES, options.encoding, None, False)
    with opened(file, options) as reader:
        columns = look(reader)
        if named[0] is None and reader.columns is None:
            text, record_id, label = "", None, None
        else:
            text, record_id, label = _choose(reader, columns, guess(columns), named, questions)
        found = read_all(reader, text, record_id, label)
    if not found.texts:
        raise InvalidFile(f"{file} has no row with a text in the column {text!r}. Name another with --text-column")
    if label is not None and not _has_labels(found, label, given=named[2] is not None, needed=not labels_given):
        label = None
    seen = Seen(reader.what, header, text, record_id, label, found)
    # With such a column as the id, all texts but the first of each value would be left out.
    is_guess = named[1] is None and record_id is not None and record_id.lower() not in ID_NAMES
    return replace(seen, record_id=None, no_id=record_id) if is_guess and found.clashing_ids else seen


def _is_delimited(reader: Reader) -> bool:
    """Whether the names of columns are the first line of a CSV."""
    return reader.schema is None and reader.more_columns is None


def _choose(
    reader: Reader, columns: Sequence[ColumnLook], guessed: Guess, named: tuple[str | None, ...], questions: Questions
) -> tuple[str, str | None, str | None]:
    """The columns of text, id and label. Raises InvalidFile, InvalidInput."""
    known = reader.columns or ()
    every = known if all(name is None or name in known for name in named) else reader.every_column() or ()
    for name in named:
        if name is not None and name not in every:
            raise InvalidFile(f"The file has no column {name!r}. Its columns are {', '.join(map(repr, every))}")
    text, record_id, label = named
    if text is None:
        if not guessed.texts:
            raise InvalidFile(f"No column holds text. The columns are {', '.join(map(repr, known))}")
        question = "Which column holds the text"
        text = guessed.text or questions.choose(question, "--text-column", guessed.texts, guessed.texts[0])
    record_id = record_id or (guessed.record_id if guessed.record_id != text else None)
    candidates = tuple(name for name in guessed.labels if name not in (text, record_id))
    if label is None and guessed.label in candidates:
        label = guessed.label
    elif label is None and candidates and questions.can_ask:
        none = "none"
        asked = questions.choose("Which column holds labels", "--label-column", (none, *candidates), none)
        label = None if asked == none else asked
    return text, record_id, label


def _has_labels(found: Found, column: str, *, given: bool, needed: bool) -> bool:
    """Whether the column holds labels that a task can have. Raises InvalidFile if the user named it."""
    counts = found.counts(found.multi_label)
    problem = None
    if not counts:
        problem = f"has no label that can be read{f': {found.unread}' if found.unread else ''}"
    elif len(counts) > MAX_LABELS:
        problem = f"has more than {MAX_LABELS:,} different values. A task has at most {MAX_LABELS:,} labels"
    if problem is None:
        return True
    if given:
        raise InvalidFile(f"The column {column!r} {problem}")
    screen.note(f"the column {column!r} {problem}", style="yellow")
    return False


def can_be_taught(found: Found, labels: int) -> bool:
    """Whether a teacher that reads English may train a first version: there must be texts enough to learn from."""
    return found.texts >= max(TAUGHT_TEXTS, 4 * labels) and found.script in (None, "LATIN")


def notes_on(seen: Seen) -> list[str]:
    """What the user should know about the file."""
    found, notes = seen.found, list[str]()
    if not seen.header and seen.text:
        notes.append("The first line of the file is taken for data, and the columns are named 1, 2, ...")
    if found.unusable:
        notes.append(f"{found.unusable:,} rows have no text that can be used, and are left out.")
    if seen.no_id:
        notes.append(
            f"The column {seen.no_id!r} is not used as the id, because different texts have the same value in it. With "
            f"--id-column {seen.no_id}, only the first text of each value would count."
        )
    elif found.repeated_ids:
        notes.append(
            f"{found.repeated_ids:,} rows repeat an id of column {seen.record_id!r}: only the first is used. Make them "
            "unique, or rename the column."
        )
    if seen.label and all(label.isdecimal() for label in found.counts(found.multi_label)):
        notes.append("The labels are numbers. Describe each, so that people and models know what it means.")
    if seen.label and found.unread:
        notes.append(f"Labels that cannot be read are left out, such as: {found.unread}.")
    if found.script not in (None, "LATIN"):
        notes.append(
            f"Most texts are in {str(found.script).title()} script. The default base model reads English best: choose "
            "a multilingual one (docs/encoders.md)."
        )
    return notes


def flags_of(seen: Seen, format: Format | None, encoding: str | None, delimiter: str | None) -> list[str]:
    """The options by which other commands read the file in the same way."""
    named = {
        "--text-column": seen.text or None,
        "--id-column": seen.record_id,
        "--encoding": encoding,
        "--delimiter": delimiter,
        "--format": None if format is None else format.value,
    }
    given = [word for option, value in named.items() if value is not None for word in (option, value)]
    return given if seen.header else ["--no-header", *given]
