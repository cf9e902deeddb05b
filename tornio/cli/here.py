"""What the commands share that do a run from this machine, on a Ray of its own or on the cluster of RAY_ADDRESS."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from tornio.cli import screen
from tornio.cli.stores import folder_store, is_default_folder, use_store
from tornio.errors import InvalidInput

if TYPE_CHECKING:
    from jobs.context import JobContext
    from tornio.schemas.runs import RunPlan, RunProgress

Watch = Callable[["RunPlan", "RunProgress"], None]


def check_extra() -> None:
    """Raises BadParameter where only the client is installed."""
    try:
        import jobs.running.driver  # noqa: F401
    except ImportError as error:
        raise typer.BadParameter(
            f"this command needs the extra. Run: pip install 'tornio[cluster]' ({error})"
        ) from error


def context_here() -> JobContext:
    """The context of a process that runs jobs over the store that the run is stored in. Raises InvalidInput."""
    from jobs.running.process import job_context

    use_store()
    if os.environ.get("RAY_ADDRESS") and is_default_folder():
        raise InvalidInput(
            f"RAY_ADDRESS names a cluster, whose nodes do not have the folder {folder_store()}. Set TORNIO_S3_BUCKET "
            "here and on the cluster, or unset RAY_ADDRESS"
        )
    return job_context()


@contextmanager
def bars(quiet: bool) -> Iterator[Watch]:
    """Show one bar per stage of a run, on a terminal only."""
    with screen.bars(quiet) as shown:
        if shown is None:
            yield lambda _plan, _progress: None
            return
        stages = {}

        def watch(_plan: RunPlan, progress: RunProgress) -> None:
            if progress.stage not in stages:
                stages[progress.stage] = shown.add_task(progress.stage, total=progress.total)
            shown.update(stages[progress.stage], completed=progress.done, total=progress.total)

        yield watch
