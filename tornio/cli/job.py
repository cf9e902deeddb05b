"""The command ``tornio job NAME``: execute one run of a job in this process, as the entry point of a Ray job does."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from jobs.table import JOBS
from tornio.api import TaskName

console = Console()


def job(
    name: Annotated[str, typer.Argument(metavar="NAME", help=f"Name of the job: {', '.join(JOBS)}.")],
    task: Annotated[str, typer.Argument(metavar="WORKSPACE/TASK", help="The task's full name.")],
    args: Annotated[str, typer.Option(help="Arguments of the job, as JSON.")] = "{}",
    attempt: Annotated[
        int | None, typer.Option(min=1, help="Number of this attempt.", show_default="the next attempt")
    ] = None,
) -> None:
    """Run a job in this process, on the store of TORNIO_S3_.... The result of a finished run is shown again."""
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
    console.print_json(result.model_dump_json(by_alias=True))
