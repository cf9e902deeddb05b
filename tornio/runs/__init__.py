"""Runs as users see them: read their state from the store, ask for them, and cancel them."""

from tornio.runs.asks import ask_for_run, cancel_run, is_asked_for
from tornio.runs.reading import RunReader, workspaces_with_runs
from tornio.runs.record import ATTEMPTS, RunRecord, RunState, pause_after, run_out
from tornio.runs.results import files_of, first_rows, read_file

__all__ = [
    "ATTEMPTS",
    "RunReader",
    "RunRecord",
    "RunState",
    "ask_for_run",
    "cancel_run",
    "files_of",
    "first_rows",
    "is_asked_for",
    "pause_after",
    "read_file",
    "run_out",
    "workspaces_with_runs",
]
