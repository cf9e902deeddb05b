"""Requests for the runs that review a score run: show rows to annotators, take up their answers, write the result."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tornio.api.runs import RUN_PATTERN, RunRequest

REVIEW_TOP = 100
"""Rows that a review shows if nobody says how many."""
REVIEW_MOST = 10_000
"""Most rows that a review shows. The server holds them in memory, and hardly anybody reviews more."""


class ReviewSendRequest(RunRequest):
    """Show the most suspicious rows of a score run of the task to annotators, as a data set of their own in Argilla.

    Another request for the same run adds the rows that are missing, and changes no answer.
    """

    job: Literal["review-send"] = "review-send"
    run: str = Field(pattern=f"^{RUN_PATTERN}$", description="Id of the score run.")
    top: int | None = Field(
        None,
        ge=1,
        le=REVIEW_MOST,
        description=f"Send this many of the most suspicious rows. Default: {REVIEW_TOP}; at most {REVIEW_MOST:,}.",
    )
    loss_quantile: float | None = Field(
        None,
        ge=0,
        lt=1,
        description="Instead of top: all rows above this quantile of the loss (below 1). .99 is the top 1 %.",
    )
    name: str | None = Field(
        None, min_length=1, max_length=200, description="Name of the data set. Default: derived from the run."
    )
    reviewers: int = Field(
        1, ge=1, le=1000, description="Number of answers after which Argilla counts a record as done."
    )


class ReviewSyncRequest(RunRequest):
    """Take up the reviewers' answers to a score run of the task. They become labels of the task.

    While nothing changes in the data set, the same request is the same run.
    """

    job: Literal["review-sync"] = "review-sync"
    run: str = Field(pattern=f"^{RUN_PATTERN}$", description="Id of the score run.")


class ReviewExportRequest(RunRequest):
    """Write all rows of a score run of the task with the labels that reviewers corrected, and its report with the
    answers so far.

    While nobody answers, the same request is the same run.
    """

    job: Literal["review-export"] = "review-export"
    run: str = Field(pattern=f"^{RUN_PATTERN}$", description="Id of the score run.")
