"""The options that name a finished score run, and the run in the store that is used here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tornio.cli.connect import TASK_NAME

if TYPE_CHECKING:
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
Workspace = Annotated[str | None, typer.Option(help="Workspace of a run without a task.", show_default="default")]


def check_workspace(task: str | None, workspace: str | None) -> None:
    """Raises BadParameter if both are given: the name of a task has its workspace."""
    if task is not None and workspace is not None:
        raise typer.BadParameter(f"--workspace is for a run without a task. Omit it beside --task {task}.")


def check_url(url: str | None) -> None:
    """Raises BadParameter for an address beside a run that no server is asked for."""
    if url is not None:
        raise typer.BadParameter("--url is for a run of a task. Name the task with --task, or omit --url.")


def open_scored(run: str, workspace: str | None) -> ScoredRun:
    """Return the run of the store that `tornio score` uses here. Raises BadParameter where only the client is."""
    try:
        from tornio.scoring.scored_run import ScoredRun
        from tornio.storage.environment import store_from_environment
    except ImportError as error:
        raise typer.BadParameter(
            f"Without --task, reviews need an extra that is not installed ({error}). Run: pip install 'tornio[cluster]'"
        ) from error
    from tornio.cli.stores import use_store

    use_store()
    return ScoredRun.open(store_from_environment(), run, workspace or "default")
