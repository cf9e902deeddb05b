"""What users ask of a task's loop and of its versions."""

from __future__ import annotations

from pydantic import Field

from tornio.api.base import Request


class RollbackIn(Request):
    why: str | None = Field(None, max_length=1000)
    expected_revision: int | None = Field(None, description="Expected revision of `current`. At any other, 409.")


class PromoteIn(Request):
    why: str = Field("", max_length=1000)
    force: bool = Field(False, description="Also a version that the gate or a trial refused for its scores.")


class TrainNowIn(Request):
    force: bool = Field(False, description="Train even if no label is new. Stopping criteria do not count that.")


class ModelIn(Request):
    upload: str = Field(pattern=r"^[0-9a-f]{64}\.tar$", description="Name of the upload, a tar of an exported version.")
    labels: list[str] = Field(min_length=1, max_length=10_000, description="Those of the model, in any order.")
    multi_label: bool = Field(False, description="Whether it gives a text any number of them.")
    why: str = Field("", max_length=1000)
