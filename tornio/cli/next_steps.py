"""The commands that follow on ``tornio init``. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

FEW_LABELLED = 40
"""With fewer labelled rows, none is set aside for evaluation."""
_MANY_LABELLED = 1_000
EXAMPLE = "Write one of your texts here."


@dataclass(frozen=True, slots=True)
class Step:
    """A command line, as a shell reads it, and what it is for."""

    why: str
    command: str


@dataclass(frozen=True, slots=True)
class Situation:
    """What ``tornio init`` knows. ``flags``: the options by which commands read the file as it did.

    ``label_column``: None if the file has no labels. ``labelled``: rows that have one. ``runs``: whether a server is
    found from here.
    """

    task: str
    spec_file: str
    file: str
    flags: Sequence[str]
    label_column: str | None
    labelled: int
    texts: int
    example: str
    runs: bool


def next_steps(now: Situation) -> Iterator[Step]:
    """Yield what to do next, in this order."""
    file = now.file if not now.file.startswith("-") else f"./{now.file}"
    if not now.runs:
        yield Step("start Tornio, in another terminal", "tornio up")
    yield Step("create the task", _line("apply", now.spec_file))
    if now.label_column is not None and now.labelled:
        share = holdout_share(now.labelled)
        why, flags = "import the labelled rows", [*now.flags, "--label-column", now.label_column]
        if share is not None:
            why += f"; {100 * share:.0f} % of them evaluate the versions, and the others train them"
            flags += ["--holdout-share", f"{share:g}"]
        yield Step(why, _line("labels", "import", now.task, file, *flags))
    if now.labelled < now.texts:
        what = "add the rows without a label" if now.labelled else "add the texts"
        yield Step(what, _line("pool", "add", now.task, file, *now.flags))
    yield Step("look at the task in a browser; with --annotate, label its texts", _line("open", now.task))
    yield Step("follow its progress, until Ctrl-C", _line("status", now.task, "--watch"))
    yield Step("classify a text, as soon as a version serves", _line("predict", now.task, now.example or EXAMPLE))


def holdout_share(labelled: int) -> float | None:
    """Return the share of labelled rows that should evaluate versions; None for too few rows."""
    if labelled < FEW_LABELLED:
        return None
    return 0.2 if labelled < _MANY_LABELLED else 0.1


def _line(*words: str) -> str:
    return shlex.join(("tornio", *words))
