"""``tornio review`` and ``tornio export corrected``: review suspicious rows, and export the corrected set."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tornio.api import REVIEW_MOST, REVIEW_TOP, ReviewSendRequest, ReviewSyncRequest, RunRequest
from tornio.cli import screen
from tornio.cli.connect import TASK_NAME, Context, Json, NoEscapeFormulas, Url, connect
from tornio.cli.options import request_of
from tornio.cli.results import waited_for
from tornio.client import Client
from tornio.client.address import looked_in, session_environment
from tornio.errors import InvalidInput, RunFailed, TemporaryError
from tornio.files.pushing import HUB, check_name
from tornio.files.whole import writing
from tornio.schemas.review import ReviewSendOutput, ReviewSyncOutput

if TYPE_CHECKING:
    from tornio.annotation.port import AnnotationTool
    from tornio.scoring.scored_run import ScoredRun

Run = Annotated[
    str, typer.Argument(metavar="RUN", help="Id of the run, as printed by `tornio score`.", show_default=False)
]
OfTask = Annotated[
    str | None,
    typer.Option(
        "--task",
        metavar=TASK_NAME,
        help="Task of the run. Without it, the run is looked for in the store that `tornio score` uses here.",
        show_default=False,
    ),
]
Workspace = Annotated[str, typer.Option(help="Workspace of a run without a task.")]


def register(app: typer.Typer) -> None:
    review = typer.Typer(no_args_is_help=True, help="Have people review the labels that `tornio score` doubts.")
    review.command("send")(send)
    review.command("sync")(sync)
    review.command("report")(report)
    app.add_typer(review, name="review")


def send(
    ctx: Context,
    run: Run,
    task: OfTask = None,
    top: Annotated[
        int | None,
        typer.Option(
            min=1, max=REVIEW_MOST, help="Send this many of the most suspicious rows.", show_default=str(REVIEW_TOP)
        ),
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
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Send the most suspicious rows of a run to Argilla, as a data set of their own. Repeating it adds missing rows.

    The server does it for a run of a task, and leaves out the texts of the task's hold-out. A run without a task is
    read from the store that `tornio score` uses here, and sent from this machine: to the Argilla of TORNIO_ARGILLA_URL
    with TORNIO_ARGILLA_API_KEY (or TORNIO_ARGILLA_API_KEY_FILE), or else to that of the `tornio up` here.
    """
    if top is not None and loss_quantile is not None:
        raise typer.BadParameter("Give --top or --loss-quantile, not both.")
    found = _find(run, task, workspace)
    if isinstance(found, str):
        given = {"run": run, "top": top, "loss_quantile": loss_quantile, "name": name, "reviewers": reviewers}
        with connect(ctx, url) as client:
            request = request_of(ReviewSendRequest, given)
            sent = ReviewSendOutput.model_validate(_done(client, found, request, tell=not as_json))
    else:
        from tornio.review.send import send_review, wanted

        with _annotation() as annotation:
            sent = send_review(found, annotation, wanted(top, loss_quantile), name, reviewers)
    if as_json:
        screen.dump(sent)
    else:
        _show_sent(sent, run if not isinstance(found, str) else f"{run} --task {found}")


def sync(
    ctx: Context,
    run: Run,
    task: OfTask = None,
    watch: Annotated[bool, typer.Option("--watch", help="Continue until Ctrl-C.")] = False,
    every: Annotated[float, typer.Option(min=0.5, help="With --watch: seconds between two queries.")] = 10.0,
    workspace: Workspace = "default",
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Fetch the reviewers' answers. They become labels of the task and count in its next training.

    For a run without a task, the answers are stored beside the run.
    """
    with _polling(ctx, run, task, workspace, url) as poll:
        if watch:
            _watch(poll, every, as_json)
        else:
            _show(poll(), as_json, line=False)


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


def _find(run: str, task: str | None, workspace: str) -> str | ScoredRun:
    """Return the full name of the run's task, or, for a run without a task, the run in the store that is used here."""
    if task is not None:
        return task
    scored = _open(run, workspace)
    return scored if scored.task is None else scored.task.full_name


def _done(client: Client, task: str, request: RunRequest, *, tell: bool = False) -> dict[str, Any]:
    """Ask for a run, and return its output when it is done."""
    asked = client.start_run(task, request)
    if tell:
        screen.note(f"The server sends them: run {asked.run}")
    return waited_for(client, task, asked.run, quiet=True).output or {}


@contextmanager
def _polling(
    ctx: Context, run: str, task: str | None, workspace: str, url: str | None
) -> Iterator[Callable[[], ReviewSyncOutput]]:
    """Yield a function that fetches the answers and returns the progress. It may be called again and again."""
    found = _find(run, task, workspace)
    if isinstance(found, str):
        request = request_of(ReviewSyncRequest, {"run": run})
        with connect(ctx, url) as client:
            yield lambda: ReviewSyncOutput.model_validate(_done(client, found, request))
        return
    from tornio.review.sync import ReviewSync, progress

    with _annotation() as annotation:
        syncing = ReviewSync(found, annotation)
        yield lambda: progress(syncing.poll())


def _show_sent(sent: ReviewSendOutput, named: str) -> None:
    out = f"; {sent.left_out:,} texts were left out (deleted, or in the hold-out)" if sent.left_out else ""
    screen.say(f"{sent.dataset} in Argilla shows {sent.rows:,} rows, {sent.new:,} of them new{out}")
    if sent.same_id:
        screen.note(
            f"{sent.same_id:,} rows have the id of another text and are not shown. Score again with --id-column and a "
            "column of unique ids.",
            style="yellow",
        )
    screen.say(f"most suspicious first: {sent.page}")
    screen.note(f"next: tornio review sync {named} --watch")


def _watch(poll: Callable[[], ReviewSyncOutput], every: float, as_json: bool) -> None:
    """Print the progress whenever it changes, until interrupted."""
    before = None
    while True:
        try:
            now = poll()
        except (TemporaryError, RunFailed) as error:
            screen.note(f"{error} (checking again in {every:g} s)", style="yellow")
        else:
            if now != before:
                _show(now, as_json, line=True)
            before = now
        time.sleep(every)


def _show(now: ReviewSyncOutput, as_json: bool, line: bool) -> None:
    if as_json:
        (screen.dump_line if line else screen.dump)(now.model_dump())
        return
    precision = f": precision {screen.percent(now.precision)}" if now.precision is not None else ""
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
            f"Without --task, reviews need an extra that is not installed ({error}). Run: pip install 'tornio[cluster]'"
        ) from error
    from tornio.cli.stores import use_store

    use_store()
    return ScoredRun.open(store_from_environment(), run, workspace)


@contextmanager
def _annotation() -> Iterator[AnnotationTool]:
    """Yield Argilla: the configured one, or else that of ``tornio up``. Raises InvalidInput if neither exists."""
    from tornio.annotation.environment import annotation_from_environment

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
    with annotation_from_environment() as tool:
        yield tool
