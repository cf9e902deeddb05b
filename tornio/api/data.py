"""What goes into a task, and the labels that come out."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from tornio import errors
from tornio.api.base import MAX_RECORDS, Answer, RecordId, Request, Text
from tornio.records import MetadataValue, Purpose
from tornio.spec import TaskSpec


def checked_spec(values: Any, where: str = "the spec") -> TaskSpec:
    """The spec that these values, or this JSON text, describe. Raises InvalidSpec, with a line for each fault."""
    try:
        if isinstance(values, str):
            return TaskSpec.model_validate_json(values)
        return TaskSpec.model_validate(values)
    except ValidationError as error:
        faults = [
            f"{where}, {'.'.join(map(str, fault['loc'])) or 'as a whole'}: {fault['msg']}" for fault in error.errors()
        ]
        raise errors.InvalidSpec("\n".join(faults)) from error


class Applied(Answer):
    """``changes``: what changed, in words, with when it takes effect; empty where nothing did."""

    workspace: str
    task: str
    created: bool
    spec_rev: int
    changes: list[str] = []


class RecordIn(Request):
    """A text for the pool. Without ``record_id`` it gets a digest of the text."""

    record_id: RecordId | None = None
    text: Text
    metadata: dict[str, MetadataValue] = {}


RecordsIn = Annotated[list[RecordIn], Field(min_length=1, max_length=MAX_RECORDS)]


class RecordsAdded(Answer):
    """``known``: records that the pool has already, by id. ``same_text``: added, though their text is not new."""

    added: int = 0
    known: int = 0
    same_text: int = 0

    def __add__(self, other: RecordsAdded) -> RecordsAdded:
        return RecordsAdded(
            added=self.added + other.added, known=self.known + other.known, same_text=self.same_text + other.same_text
        )


class LabelIn(Request):
    """A labelled text. ``labels`` has one name, or, where the task allows several, any number."""

    record_id: RecordId | None = None
    text: Text
    labels: list[str]
    metadata: dict[str, MetadataValue] = {}


class LabelsIn(Request):
    """Labels that exist already. ``train``: they train, and their texts leave the reserve; ``holdout``: they judge."""

    purpose: Literal["train", "holdout"] = "train"
    source: str | None = Field(None, min_length=1, max_length=200, description="Where they come from, such as a file.")
    request: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9_-]{8,64}$",
        description="An id of this request, never used for another: sent again, it writes nothing a second time.",
    )
    labels: list[LabelIn] = Field(min_length=1, max_length=MAX_RECORDS)


class LabelsImported(Answer):
    """``imported``: labels written; ``unchanged``: said already; ``records_added``: ids new to the pool."""

    imported: int = 0
    unchanged: int = 0
    records_added: int = 0

    def __add__(self, other: LabelsImported) -> LabelsImported:
        return LabelsImported(
            imported=self.imported + other.imported,
            unchanged=self.unchanged + other.unchanged,
            records_added=self.records_added + other.records_added,
        )


class LabelledRecord(Answer):
    """A line of the export: what the task takes as true of a record, and who says so."""

    record_id: str
    text: str | None
    labels: list[str]
    purpose: Purpose | None
    source: str
    """The kind of event that decided: answer, correction, import or auto."""
    annotators: int = 0
