"""Write a first task.yaml, with comments that say how to go on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import inf

import yaml

from tornio.specfile import read_spec
from tornio.visible import visible


@dataclass(frozen=True, slots=True)
class DraftLabel:
    """A label of the new task. ``rows``: how many rows of the file have it."""

    name: str
    description: str = ""
    rows: int = 0


@dataclass(frozen=True, slots=True)
class Draft:
    """A task to be written. ``source``: the file that it was made from. ``notes``: lines for the head of the file.

    ``taught``: whether a teacher trains the first version, before anybody has labelled.
    """

    workspace: str
    name: str
    labels: Sequence[DraftLabel]
    source: str
    multi_label: bool = False
    notes: Sequence[str] = field(default=())
    taught: bool = False


def write_draft(draft: Draft) -> str:
    """Return the text of a task.yaml. Raises InvalidSpec for labels that no task may have."""
    text = "\n".join(_lines(draft)) + "\n"
    read_spec(text)
    return text


def _lines(draft: Draft) -> Iterator[str]:
    yield f"# A task of Tornio, made from {_comment(draft.source)}. docs/task-yaml.md lists all fields."
    for note in draft.notes:
        yield f"# {_comment(note)}"
    yield _field("workspace", draft.workspace)
    yield _field("name", draft.name)
    yield ""
    yield "# Describe each label in one sentence: it improves the first suggestions and helps the annotators."
    yield "labels:"
    for label in draft.labels:
        counted = f"  # {label.rows:,} {'row' if label.rows == 1 else 'rows'} of the file" if label.rows else ""
        yield f"  - {_field('name', label.name)}{counted}"
        yield f"    {_field('description', label.description)}" if label.description else "    # description:"
    if draft.multi_label:
        yield ""
        yield "# A text may have several of the labels, or none."
        yield "multi_label: true"
    if draft.taught:
        yield ""
        yield "# A teacher labels the texts by names and descriptions, and teaches a first version before people label."
        yield "# Later versions learn from the teacher and from people, whose labels count more: docs/bootstrap.md."
        yield "teacher:"
        yield "  kind: embedding"
        yield "training:"
        yield "  method: distillation"
    yield ""
    yield "# What annotators should know beyond the descriptions, such as what to do with doubtful texts:"
    yield "# guidelines: Choose the label that fits best. Discard a text that does not belong here."


def _field(name: str, value: str) -> str:
    """A field on one line, with quotes where YAML needs them."""
    if value.isprintable():
        return str(yaml.safe_dump({name: value}, allow_unicode=True, width=inf)).rstrip("\n")
    written = yaml.safe_dump(value, allow_unicode=True, width=inf, default_style='"')  # with escapes
    return f"{name}: {written}".rstrip("\n")


def _comment(text: str) -> str:
    """A text as it may stand in a comment."""
    return "".join(letter if letter.isprintable() else " " for letter in visible(text))
