"""A run's documents on the wire. Pure."""

from __future__ import annotations

from tornio.api import RunOut, RunProgressOut
from tornio.runs.record import RunRecord, RunState


def run_out(record: RunRecord, trouble: str | None = None) -> RunOut:
    """A run's documents as the API tells them; ``trouble``: what keeps it from going on."""
    ask, progress = record.ask, record.progress
    shown = progress is not None and record.state is RunState.RUNNING
    return RunOut(
        run=record.plan.run,
        job=record.plan.job,
        state=record.state.value,
        attempt=record.attempt,
        asked_by=ask.who if ask else None,
        asked_at=ask.asked_at if ask else None,
        progress=RunProgressOut.model_validate(progress.model_dump()) if progress and shown else None,
        started_at=record.began,
        finished_at=record.ended,
        error=record.error,
        why=None if record.state.over else trouble,
        output=record.result.output if record.result else None,
    )
