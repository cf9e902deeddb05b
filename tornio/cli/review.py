"""``tornio review``: show suspicious rows to people, and take up their answers."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tornio.api import REVIEW_MOST, REVIEW_TOP, ReviewSendRequest, ReviewSyncRequest, RunRequest
from tornio.cli import screen
from tornio.cli.connect import Context, Json, Url, connect
from tornio.cli.corrected import report
from tornio.cli.options import request_of
from tornio.cli.results import waited_for
from tornio.cli.scored import OfTask, Run, Workspace, check_url, check_workspace, open_scored
from tornio.client import Client
from tornio.client.address import looked_in, session_environment
from tornio.errors import InvalidInput, RunFailed, TemporaryError
from tornio.schemas.review import ReviewSendOutput, ReviewSyncOutput

if TYPE_CHECKING:
    from tornio.annotation.port import AnnotationTool
    from tornio.scoring.scored_run import ScoredRun


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
        typer.Option(
            help="Instead of --top: send all rows above this quantile of the loss (below 1). .99 is the top 1 %."
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the data set in Argilla.", show_default="derived from the run")
    ] = None,
    reviewers: Annotated[
        int, typer.Option(min=1, help="Number of answers after which Argilla counts a record as done.")
    ] = 1,
    workspace: Workspace = None,
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
        check_url(url)
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
    workspace: Workspace = None,
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


def _find(run: str, task: str | None, workspace: str | None) -> str | ScoredRun:
    """Return the full name of the run's task, or, for a run without a task, the run in the store that is used here."""
    check_workspace(task, workspace)
    if task is not None:
        return task
    scored = open_scored(run, workspace)
    return scored if scored.task is None else scored.task.full_name


def _done(client: Client, task: str, request: RunRequest, *, tell: bool = False) -> dict[str, Any]:
    """Ask for a run, and return its output when it is done."""
    asked = client.start_run(task, request)
    if tell:
        screen.note(f"The server sends them: run {asked.run}")
    return waited_for(client, task, asked.run, quiet=True).output or {}


@contextmanager
def _polling(
    ctx: Context, run: str, task: str | None, workspace: str | None, url: str | None
) -> Iterator[Callable[[], ReviewSyncOutput]]:
    """Yield a function that fetches the answers and returns the progress. It may be called again and again."""
    found = _find(run, task, workspace)
    if isinstance(found, str):
        request = request_of(ReviewSyncRequest, {"run": run})
        with connect(ctx, url) as client:
            yield lambda: ReviewSyncOutput.model_validate(_done(client, found, request))
        return
    check_url(url)
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
