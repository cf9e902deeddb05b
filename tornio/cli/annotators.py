"""``tornio annotators``: how the annotators of a task agree."""

from __future__ import annotations

from collections.abc import Iterator

import typer

from tornio.api import Annotators, ConsensusOut
from tornio.cli import screen
from tornio.cli.connect import Context, Json, Task, Url, connect
from tornio.cli.screen import Group, RenderableType, Text, percent, table

_SHOWN = 20
"""Most pairs of annotators and labels that are shown, those that agree least first."""


def register(app: typer.Typer) -> None:
    app.command("annotators")(annotators)


def annotators(ctx: Context, task: Task, url: Url = None, as_json: Json = False) -> None:
    """Show how the annotators of a task agree: each with the others, each two, and label by label."""
    with connect(ctx, url) as client:
        found = client.annotators(task)
    if as_json:
        screen.dump(found)
    elif found.annotators:
        screen.show(annotators_view(found))
    else:
        screen.say(f"Nobody has annotated {task} yet. `tornio status {task}` says where to annotate.")


def annotators_view(found: Annotators) -> RenderableType:
    return Group(*_parts(found))


def _parts(found: Annotators) -> Iterator[RenderableType]:
    if found.controller_away:
        yield Text(f"the names of annotators are not known: {found.controller_away}", style="yellow")
    rows = (
        (one.name, f"{one.answers:,}", f"{one.discards:,}", _share(one.agrees, one.compared))
        for one in found.annotators
    )
    yield table(("=annotator", "answers", "discards", "agrees with a majority of the others"), rows)
    if found.consensus is not None:
        yield Text(consensus_line(found.consensus))
    if found.agreement is None:
        yield Text(
            "No text has answers of two annotators, so nothing can be compared. annotation.min_submitted in task.yaml "
            "asks for several answers of each text, and annotation.overlap for one more of some."
        )
        return
    yield Text(
        f"agreement of all: alpha {found.agreement.alpha:.2f} (1 perfect, 0 chance) on {found.agreement.records:,} "
        "texts with several annotators"
    )
    pairs = sorted(found.pairs, key=lambda pair: pair.kappa)
    yield table(
        ("=annotators", "", "equal answers", "kappa"),
        ((pair.first, pair.second, _share(pair.agrees, pair.records), f"{pair.kappa:.2f}") for pair in pairs[:_SHOWN]),
    )
    yield from _more(len(pairs), "pairs")
    labels = sorted((one for one in found.labels if one.records), key=lambda one: one.alpha)
    yield table(
        ("=label", "texts", "alpha"), ((one.label, f"{one.records:,}", f"{one.alpha:.2f}") for one in labels[:_SHOWN])
    )
    yield from _more(len(labels), "labels")


def consensus_line(found: ConsensusOut) -> str:
    """Return what decides on training labels, and how many texts are lacking before CROWDLAB does."""
    if found.used != found.wanted:
        lacking = found.needed - (found.several or 0)
        return (
            f"training labels: by {found.used}; by {found.wanted} once {lacking:,} more texts have several answers "
            f"({found.needed:,} in all)"
        )
    several = "" if found.several is None else f"; {found.several:,} texts for training have several answers"
    return f"training labels: by {found.used}{several}"


def _more(count: int, what: str) -> Iterator[RenderableType]:
    if count > _SHOWN:
        yield Text(f"and {count - _SHOWN:,} {what} that agree better: see --json", style="dim")


def _share(part: int, whole: int) -> str:
    return f"{part:,} of {whole:,} ({percent(part / whole)})" if whole else "-"
