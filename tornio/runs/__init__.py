"""Runs as users see them: read their state from the store, ask for them, and cancel them."""

from tornio.runs.asks import ask_for_run, cancel_run
from tornio.runs.reading import RunReader, workspaces_with_runs
from tornio.runs.record import ATTEMPTS, RunRecord, RunState, pause_after, run_out

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
