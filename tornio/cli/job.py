"""``tornio job NAME``: do one run of a job in this process, as a Ray job's entry point does."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.console import Console

console = Console()


def job(
    name: Annotated[str, typer.Argument(help="train, evaluate, query or label.")],
    task: Annotated[str, typer.Argument(help="workspace/task")],
    args: Annotated[str, typer.Option(help="The job's arguments, as JSON.")] = "{}",
    attempt: Annotated[int, typer.Option(help="Number of this try.")] = 1,
) -> None:
    """Run a job where the store is given by TORNIO_S3_...; done already, its result is shown."""
    try:
        from jobs.context import JobContext
        from jobs.execute import execute
    except ImportError as error:
        raise typer.BadParameter(f"jobs need the extra: pip install 'tornio[cluster]' ({error})") from error
    from tornio.schemas.runs import RunPlan

    workspace, _, task_name = task.partition("/")
    plan = RunPlan.of(name, workspace, task_name, json.loads(args))
    result = execute(plan, attempt, JobContext.from_environment())
    console.print_json(result.model_dump_json(by_alias=True))
