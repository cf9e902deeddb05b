"""The command ``tornio job NAME``: execute one run of a job in this process, as the entry point of a Ray job does."""

from __future__ import annotations

from typing import Annotated

import typer

from jobs.table import JOBS
from tornio.api import TaskName
from tornio.cli import screen
from tornio.cli.connect import Task


def job(
    name: Annotated[str, typer.Argument(metavar="NAME", help=f"Name of the job: {', '.join(JOBS)}.")],
    task: Task,
    args: Annotated[
        str, typer.Option(help="Arguments of the job, as a JSON object. They determine the id of the run.")
    ] = "{}",
    attempt: Annotated[
        int | None, typer.Option(min=1, help="Number of this attempt.", show_default="the next attempt")
    ] = None,
) -> None:
    """Execute one run of a job in this process, and print its result as JSON.

    The server starts runs by itself, so you need this command only to repeat or examine a run by hand. It reads and
    writes the store that the variables TORNIO_S3_... name. A run that is finished is not repeated: the command prints
    its stored result.
    """
    try:
        from jobs.running.execute import execute, next_attempt, plan_job
        from jobs.running.process import job_context
    except ImportError as error:
        raise typer.BadParameter(f"jobs need the extra. Run: pip install 'tornio[cluster]' ({error})") from error
    from tornio.storage import documents

    named = TaskName.parse(task)
    plan = plan_job(name, named, args)
    context = job_context()
    context.tasks.open(*named)
    documents.create_or_get(context.store, plan.run_keys.plan, plan)
    result = execute(plan, attempt or next_attempt(plan, context.store), context)
    screen.dump(result.model_dump(mode="json", by_alias=True))
