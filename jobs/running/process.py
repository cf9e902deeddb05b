"""The context of a process that runs jobs."""

from __future__ import annotations

from jobs.context import JobContext, RunContext


def job_context() -> JobContext:
    """Return a context from TORNIO_S3_... and TORNIO_..., in which Ray Train can share a training among workers."""
    context = JobContext.from_environment()
    context.train_on_workers = _train_on_workers
    return context


def _train_on_workers(context: RunContext) -> None:
    from jobs.running.training_workers import train_on_workers  # needs Ray, which small runs do not

    train_on_workers(context)
