"""``tornio review`` and ``tornio export corrected``: review suspicious rows, and export the corrected set."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tornio.cli import screen
from tornio.cli.connect import Json, NoEscapeFormulas
from tornio.client.address import looked_in, session_environment
from tornio.errors import InvalidInput, TemporaryError
from tornio.files.pushing import HUB, check_name
from tornio.files.whole import writing

if TYPE_CHECKING:
    from tornio.annotation.port import AnnotationTool
    from tornio.review.sync import ReviewSync
    from tornio.scoring.ranking import Precision
    from tornio.scoring.scored_run import ScoredRun

_DEFAULT_TOP = 100

Run = Annotated[
    str, typer.Argument(metavar="RUN", help="Id of the run, as printed by `tornio score`.", show_default=False)
]
Workspace = Annotated[str, typer.Option(help="Workspace of a run without a task.")]


def register(app: typer.Typer) -> None:
    review = typer.Typer(no_args_is_help=True, help="Have people review the labels that `tornio score` doubts.")
    review.command("send")(send)
    review.command("sync")(sync)
    review.command("report")(report)
    app.add_typer(review, name="review")


def send(
    run: Run,
    top: Annotated[
        int | None,
        typer.Option(min=1, help="Send this many of the most suspicious rows.", show_default=str(_DEFAULT_TOP)),
    ] = None,
    loss_quantile: Annotated[
        float | None,
        typer.Option(help="Instead of --top: send all rows above this quantile of the loss; .99 is the top 1 %."),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the data set in Argilla.", show_default="derived from the run")
    ] = None,
    reviewers: Annotated[
        int, typer.Option(min=1, help="Number of answers after which Argilla counts a record as done.")
    ] = 1,
    workspace: Workspace = "default",
    as_json: Json = False,
) -> None:
    """Send the most suspicious rows of a run to Argilla, as a data set of their own. Repeating it adds missing rows.

    Texts of the task's hold-out are not sent. Argilla is the server of TORNIO_ARGILLA_URL with TORNIO_ARGILLA_API_KEY
    (or TORNIO_ARGILLA_API_KEY_FILE), or else that of the `tornio up` in this folder or above it.
    """
    if top is not None and loss_quantile is not None:
        raise typer.BadParameter("Give --top or --loss-quantile, not both.")
    scored = _open(run, workspace)
    from tornio.review.send import Wanted, send_review

    wanted = Wanted(top or (_DEFAULT_TOP if loss_quantile is None else None), loss_quantile)
    with _annotation() as annotation:
        sent = send_review(scored, annotation, wanted, name, reviewers)
    if as_json:
        names = ("workspace", "dataset", "rows", "new", "left_out", "same_id", "page")
        screen.dump({name: getattr(sent, name) for name in names})
        return
    out = f"; {sent.left_out:,} texts were left out (deleted, or in the hold-out)" if sent.left_out else ""
    screen.say(f"{sent.dataset} in Argilla shows {sent.rows:,} rows, {sent.new:,} of them new{out}")
    if sent.same_id:
        screen.note(
            f"{sent.same_id:,} rows have the id of another text and are not shown. Score again with --id-column and a "
            "column of unique ids.",
            style="yellow",
        )
    screen.say(f"most suspicious first: {sent.page}")
    screen.note(f"next: tornio review sync {run} --watch")


def sync(
    run: Run,
    watch: Annotated[bool, typer.Option("--watch", help="Continue until Ctrl-C.")] = False,
    every: Annotated[float, typer.Option(min=0.5, help="With --watch: seconds between two queries.")] = 10.0,
    workspace: Workspace = "default",
    as_json: Json = False,
) -> None:
    """Fetch the reviewers' answers. They become labels of the task and count in its next training.

    For a run without a task, the answers are stored beside the run.
    """
    scored = _open(run, workspace)
    from tornio.review.sync import ReviewSync

    with _annotation() as annotation:
        syncing = ReviewSync(scored, annotation)
        if watch:
            _watch(syncing, every, as_json)
        else:
            _show(syncing.poll(), as_json, line=False)


def report(
    run: Run,
    output: Annotated[Path, typer.Option("--output", "-o", help="Path of the HTML file.")] = Path("report.html"),
    workspace: Workspace = "default",
    as_json: Json = False,
) -> None:
    """Write the run's report, including the reviewers' answers so far: how many of the suspicious labels were wrong."""
    scored = _open(run, workspace)
    from tornio.review.report import run_report

    with writing(output) as part:
        part.write_text(run_report(scored), encoding="utf-8")
    if as_json:
        screen.dump({"path": str(output)})
    else:
        screen.say(f"wrote {output}")


def export_corrected(
    run: Run,
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            help="A .parquet, .jsonl or .csv file; a name without extension is a folder for the `datasets` library; "
            "hub:NAME is the Hugging Face hub, with the token of HF_TOKEN.",
            show_default=False,
        ),
    ],
    public: Annotated[
        bool, typer.Option("--public", help="Make a new data set on the hub public. Default: private.")
    ] = False,
    no_escape_formulas: NoEscapeFormulas = False,
    workspace: Workspace = "default",
    as_json: Json = False,
) -> None:
    """Write all rows of a run with the labels that reviewers corrected: text, original, corrected, who, when."""
    scored = _open(run, workspace)
    from tornio.review.corrected import corrected, schema
    from tornio.review.write import writer_for

    suffix = Path(output).suffix
    if not output.startswith(HUB) and suffix:
        rows = writer_for(Path(output), escape=not no_escape_formulas)(corrected(scored), schema(scored.multi_label))
    else:
        output, rows = _as_dataset(scored, output, private=not public)
    if as_json:
        screen.dump({"path": output, "rows": rows})
    else:
        screen.say(f"wrote {rows:,} rows to {output}")


def _as_dataset(scored: ScoredRun, output: str, *, private: bool) -> tuple[str, int]:
    """Write a folder of `datasets`, or push to the hub. Returns where it is and its number of rows."""
    from tornio.review import hub
    from tornio.review.card import card
    from tornio.review.corrected import corrected
    from tornio.review.sync import run_precision

    name = output.removeprefix(HUB)
    if name != output:
        check_name(name, "data set")
    dataset = hub.as_dataset(corrected(scored), scored.labels, scored.multi_label)
    if name == output:
        hub.save(dataset, Path(output))
        return output, len(dataset)
    text = card(
        title=name.rpartition("/")[2],
        run=scored.run,
        model=scored.output.model,
        ranking=scored.output.suspicion,
        labels=scored.labels,
        multi_label=scored.multi_label,
        rows=len(dataset),
        so_far=run_precision(scored),
    )
    return hub.push(dataset, name, text, private=private), len(dataset)


def _watch(syncing: ReviewSync, every: float, as_json: bool) -> None:
    """Print the progress whenever it changes, until interrupted."""
    before = None
    while True:
        try:
            now = syncing.poll()
        except TemporaryError as error:
            screen.note(f"{error} (checking again in {every:g} s)", style="yellow")
        else:
            if now != before:
                _show(now, as_json, line=True)
            before = now
        time.sleep(every)


def _show(now: Precision, as_json: bool, line: bool) -> None:
    if as_json:
        counts = {name: getattr(now, name) for name in ("shown", "reviewed", "changed", "discarded", "disputed")}
        values = {**counts, "precision": now.share}
        (screen.dump_line if line else screen.dump)(values)
        return
    precision = f": precision {screen.percent(now.share)}" if now.share is not None else ""
    others = [
        f"{count:,} {what}" for what, count in (("discarded", now.discarded), ("disputed", now.disputed)) if count
    ]
    screen.say(
        f"{now.reviewed:,} of {now.shown:,} rows are reviewed, {now.changed:,} labels were wrong{precision}"
        + "".join(f"; {text}" for text in others)
    )


def _open(run: str, workspace: str) -> ScoredRun:
    try:
        from tornio.scoring.scored_run import ScoredRun
        from tornio.storage.environment import store_from_environment
    except ImportError as error:
        raise typer.BadParameter(
            f"Reviews need an extra that is not installed ({error}). Run: pip install 'tornio[cluster]'"
        ) from error
    from tornio.cli.stores import use_store

    use_store()
    return ScoredRun.open(store_from_environment(), run, workspace)


@contextmanager
def _annotation() -> Iterator[AnnotationTool]:
    """Yield Argilla: the configured one, or else that of ``tornio up``. Raises InvalidInput if neither exists."""
    from tornio.annotation.argilla import ArgillaTool
    from tornio.settings import ArgillaSettings

    if not os.environ.get("TORNIO_ARGILLA_URL"):
        session = session_environment(anywhere=True) or {}
        variables = {name: value for name, value in session.items() if name.startswith("TORNIO_ARGILLA_")}
        if not variables:
            raise InvalidInput(
                "No Argilla is configured. Set TORNIO_ARGILLA_URL and TORNIO_ARGILLA_API_KEY (or "
                "TORNIO_ARGILLA_API_KEY_FILE), or start `tornio up`. There is no "
                f"{looked_in()}, and no other `tornio up` of yours can be used on this machine."
            )
        os.environ.update(variables)
    settings = ArgillaSettings()
    try:
        key = settings.key()
    except (ValueError, OSError) as error:
        raise InvalidInput(f"The key for Argilla at {settings.url} cannot be read: {error}") from error
    with ArgillaTool(settings.url, key, public_url=settings.public_url) as tool:
        yield tool
