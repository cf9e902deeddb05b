"""Messages about data: specs, records and labels that go into a task, and the labels that are exported."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator
from pydantic_core import ErrorDetails, from_json

from tornio import errors
from tornio.api.base import MAX_RECORDS, Answer, RecordId, Request, Text
from tornio.records import MetadataValue, Purpose
from tornio.spec import LabelSpec, TaskSpec
from tornio.spec.base import PATTERNS
from tornio.spec.limits import check_parts, check_size, cut, told


def checked_spec(values: Any, where: str = "the spec") -> TaskSpec:
    """Return the spec that these values, or this JSON text, describe. Raises InvalidSpec with one line per error."""
    if isinstance(values, str):
        check_size(values, where)
        try:
            values = from_json(values, allow_inf_nan=False)
        except ValueError as error:
            raise errors.InvalidSpec(f"{where} is not JSON: {error}") from error
        check_parts(values, where)
    try:
        return TaskSpec.model_validate(values)
    except ValidationError as error:
        faults = error.errors(include_url=False)
        raise errors.InvalidSpec(told(faults, lambda fault: f"{where}, {_what(fault)}")) from error


def _what(fault: ErrorDetails) -> str:
    place = cut(".".join(map(str, fault["loc"]))) or "as a whole"
    if fault["type"] == "string_pattern_mismatch":
        pattern = fault["ctx"]["pattern"]
        return f"{place}: found {cut(str(fault['input']))!r}; allowed: {PATTERNS.get(pattern, pattern)}"
    return f"{place}: {fault['msg']}"


class Applied(Answer):
    """What applying a spec did. ``changes``: each change, and when it takes effect; empty if nothing changed."""

    workspace: str
    task: str
    created: bool
    spec_rev: int
    changes: list[str] = []
    labels: list[str] = []
    """A sentence for each label that does not stay as it is, where the labels changed."""


class LabelMigrationIn(Request):
    """A change of a task's labels. To split a label, remove it and add the new ones: its texts are asked again."""

    rename: dict[str, str] = Field({}, description="Old name -> new name.")
    merge: dict[str, list[str]] = Field({}, description="New name -> the labels that become it.")
    remove: list[str] = []
    add: list[str | LabelSpec] = []
    dry_run: bool = Field(False, description="Only say what would become of the labels.")
    expected_spec_rev: int | None = Field(None, description="Expected revision of the spec. At any other, 409.")


class RecordIn(Request):
    """A text for the pool. Without a ``record_id``, its id is a digest of the text."""

    record_id: RecordId | None = None
    text: Text
    metadata: dict[str, MetadataValue] = {}


RecordsIn = Annotated[list[RecordIn], Field(min_length=1, max_length=MAX_RECORDS)]


class RecordsAdded(Answer):
    """How many records were added. ``known``: ids that the pool had already. ``same_text``: records whose text the pool
    has under another id. They are left out, unless duplicates were asked for. ``deleted``: records that were left out,
    because they were deleted from the task."""

    added: int = 0
    known: int = 0
    same_text: int = 0
    deleted: int = 0

    def __add__(self, other: RecordsAdded) -> RecordsAdded:
        return RecordsAdded(**{name: getattr(self, name) + getattr(other, name) for name in type(self).model_fields})


class LabelIn(Request):
    """A labelled text. ``labels`` has exactly one name, or any number if the task allows several labels."""

    record_id: RecordId | None = None
    text: Text
    labels: list[str]
    metadata: dict[str, MetadataValue] = {}


class LabelsIn(Request):
    """Labels that exist already. With the purpose ``train`` they are trained on, and their texts leave the hold-out;
    with ``holdout`` they belong to it. Automatic labels train until somebody labels their text, and never judge."""

    purpose: Literal["train", "holdout"] = "train"
    auto: bool = Field(False, description="A model gave these labels, which source names. Only for training.")
    source: str | None = Field(
        None, min_length=1, max_length=200, description="Where the labels come from, for example a file name."
    )
    request: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9_-]{8,64}$",
        description="Unique id of this request. Sending a request again with the same id writes nothing twice.",
    )
    labels: list[LabelIn] = Field(min_length=1, max_length=MAX_RECORDS)

    @model_validator(mode="after")
    def _automatic(self) -> Self:
        if self.auto and self.purpose == "holdout":
            raise ValueError("automatic labels do not judge: leave out auto, or the purpose holdout")
        if self.auto and self.source is None:
            raise ValueError("automatic labels need a source: the name of the model that gave them")
        return self


class LabelsImported(Answer):
    """What an import did. ``imported``: labels written. ``unchanged``: labels that were imported before.
    ``records_added``: records that are new in the pool. ``trains``: hold-out labels that were left out, because their
    text trains already. ``seen``: hold-out labels whose text had an automatic label before, on which a version may
    have been trained. ``judges``: training labels that were left out, because their text is hold-out. ``replaced``:
    labels that stand in place of others of an earlier import. ``deleted``: labels that were left out, because their
    record was deleted from the task."""

    imported: int = 0
    unchanged: int = 0
    records_added: int = 0
    trains: int = 0
    seen: int = 0
    judges: int = 0
    replaced: int = 0
    deleted: int = 0

    def __add__(self, other: LabelsImported) -> LabelsImported:
        return LabelsImported(**{name: getattr(self, name) + getattr(other, name) for name in type(self).model_fields})


class LabelledRecord(Answer):
    """One line of the export: the labels that the task takes as true for a record, and where they come from."""

    record_id: str
    text: str | None
    labels: list[str]
    purpose: Purpose | None
    source: str
    """The kind of event that decided: answer, correction, import or auto."""
    given_by: str = ""
    """Where the labels come from: ``argilla``, ``import:`` and a file, ``api:`` and a key, ``auto:`` and a model."""
    annotators: int = 0
    version: str | None = None
    """The version that gave the label. None for every other label, also for those of models outside."""
    probability: float | None = None
    """How probable that version found the label."""
