"""``tornio job NAME``: do one run of a job in this process, as a Ray job's entry point does."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from tornio.api import TaskName

console = Console()


def job(
    name: Annotated[str, typer.Argument(help="train, evaluate, query, label or score.")],
    task: Annotated[str, typer.Argument(help="workspace/task")],
    args: Annotated[str, typer.Option(help="The job's arguments, as JSON.")] = "{}",
    attempt: Annotated[int | None, typer.Option(min=1, help="Number of this try. Default: the next.")] = None,
) -> None:
    """Run a job where the store is given by TORNIO_S3_...; done already, its result is shown."""
    try:
        from jobs.running.execute import execute, next_attempt, plan_job
        from jobs.running.process import job_context
    except ImportError as error:
        raise typer.BadParameter(f"jobs need the extra: pip install 'tornio[cluster]' ({error})") from error
    from tornio.storage import documents

    named = TaskName.parse(task)
    plan = plan_job(name, named, args)
    context = job_context()
    context.tasks.open(*named)
    documents.create_or_get(context.store, plan.run_keys.plan, plan)
    result = execute(plan, attempt or next_attempt(plan, context.store), context)
    console.print_json(result.model_dump_json(by_alias=True))
