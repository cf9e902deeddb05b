"""Runs: what is asked for, and how each stands."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from tornio.api.base import Answer, Request

RUN_PATTERN = r"[a-z][a-z0-9-]{0,99}"
"""What a run's id looks like: job and digest."""
MAX_RUNS = 500
"""Runs of one answer."""

State = Literal["waiting", "running", "done", "failed", "cancelled"]


class ScoreIn(Request):
    """Score a labelled data set by its loss, on the cluster, under a model of the task. See ``tornio score``."""

    data: str = Field(
        pattern=r"^s3://[^/]+/.+", max_length=2000, description="s3://bucket/key of a file, or of a folder of files."
    )
    model: str | None = Field(
        None, max_length=500, description="Alias or version of the task; else a sequence classifier. Default: current."
    )
    folds: int = Field(0, ge=0, le=100, description="Score each row by one of so many models that did not see it.")
    ranking: str | None = Field(
        None, max_length=100, description="What rows are sorted by. Default: the best there is."
    )
    text_column: str | None = None
    label_column: str | None = None
    id_column: str | None = None
    separator: str = Field("|", min_length=1, description="Between the labels of a text that has several.")
    encoding: str | None = None
    delimiter: str | None = None
    part_rows: int | None = Field(None, ge=1, le=10_000, description="Rows that are done at once. Rarely worth a word.")
    seed: int = Field(0, ge=0, lt=2**31, description="Of the folds.")
    strict: bool = Field(False, description="End at the first row that cannot be used, which is else put aside.")


class RunProgressOut(Answer):
    """How far the attempt is: ``done`` of ``total`` (none where nobody knows) in ``unit``, at this ``stage``."""

    stage: str
    done: int
    total: int | None
    unit: str


class RunOut(Answer):
    """A run. ``asked_by``: who asked for it; none for a run of the loop.

    ``waiting``: for its first attempt, or, with an ``error``, for the next; ``why``: what else keeps it from going on.
    """

    run: str
    job: str
    state: State
    attempt: int
    """The last that has begun; 0 for none."""
    asked_by: str | None = None
    asked_at: datetime | None = None
    progress: RunProgressOut | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    error: str | None = None
    why: str | None = None
    output: dict[str, Any] | None = None
    """What it came to, once it is done."""


class Runs(Answer):
    runs: list[RunOut]
    """Newest first."""
