"""Runs as users see them: what the store's documents say of each, and what becomes of those that users ask for."""

from tornio.runs.asks import ask_for_run, cancel_run
from tornio.runs.reading import RunReader, workspaces_with_runs
from tornio.runs.record import ATTEMPTS, RunRecord, RunState, pause_after
from tornio.runs.telling import run_out

__all__ = [
    "ATTEMPTS",
    "RunReader",
    "RunRecord",
    "RunState",
    "ask_for_run",
    "cancel_run",
    "pause_after",
    "run_out",
    "workspaces_with_runs",
]
