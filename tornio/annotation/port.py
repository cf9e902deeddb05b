"""The annotation tool as a port: where batches go and answers come from.

Polling is the source of truth, so every read may be repeated, and every write is an upsert by ``record_id``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal, Protocol

from tornio.records import Purpose, Suggestion
from tornio.spec import LabelSpec

MetadataValue = str | float | tuple[str, ...]
"""One term, a number, or several terms."""


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """A text that is shown beside the record's own."""

    name: str
    title: str


@dataclass(frozen=True, slots=True)
class MetadataSpec:
    """What records can be filtered (terms) or sorted by (float)."""

    name: str
    title: str
    kind: Literal["terms", "float"]


@dataclass(frozen=True, slots=True)
class DatasetSpec:
    """What a data set must look like in the tool. Names: lower case letters, digits, ``_``."""

    workspace: str
    name: str
    labels: tuple[LabelSpec, ...]
    multi_label: bool
    guidelines: str
    min_submitted: int
    fields: tuple[FieldSpec, ...] = ()
    """Shown below the text, in this order."""
    metadata: tuple[MetadataSpec, ...] = ()


@dataclass(frozen=True, slots=True)
class OutgoingRecord:
    """A record on its way to annotators. ``uncertainty`` in [0, 1]; ``fields`` and ``metadata`` are of those that the
    data set has."""

    record_id: str
    text: str
    batch_id: str
    purpose: Purpose
    suggestion: Suggestion | None = None
    uncertainty: float | None = None
    model_version: str | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, MetadataValue] = field(default_factory=dict)


class ResponseStatus(StrEnum):
    """What an annotator did. A draft is not an answer."""

    SUBMITTED = "submitted"
    DISCARDED = "discarded"
    DRAFT = "draft"


@dataclass(frozen=True, slots=True)
class Response:
    """One annotator's answer to one record. ``labels`` is empty for a discard."""

    response_id: str
    annotator: str
    """The tool's stable user id."""
    status: ResponseStatus
    labels: tuple[str, ...]
    updated_at: datetime
    """The tool's clock; the only one that orders answers."""


@dataclass(frozen=True, slots=True)
class AnnotatedRecord:
    """A record as the tool has it, with all its responses."""

    record_id: str
    batch_id: str | None
    responses: tuple[Response, ...]


class AnnotationTool(Protocol):
    """Argilla, or a fake of it.

    Every method raises ``Unavailable`` when the tool is away, and ``Forbidden`` (with what to ask an owner for)
    when the account lacks a right. Methods that name a data set raise ``NotFound`` when it is not there.
    """

    def ensure_dataset(self, spec: DatasetSpec) -> None:
        """Create the data set, or bring what may change (guidelines, label descriptions, metadata) up to date.

        Idempotent. Raises InvalidInput where a data set of that name exists with other questions, or without a field.
        """

    def log(self, workspace: str, dataset: str, records: Sequence[OutgoingRecord]) -> None:
        """Upsert by record_id; responses that records already have are kept. Hold-out records must come
        without suggestion and uncertainty (ValueError otherwise): judged labels must not be led. Also ValueError for a
        field or metadata that the data set does not have."""

    def read(self, workspace: str, dataset: str, record_ids: Sequence[str]) -> Sequence[AnnotatedRecord]:
        """These records in full, those that exist, in no certain order."""

    def sweep(self, workspace: str, dataset: str) -> Iterator[AnnotatedRecord]:
        """A complete listing of the records that have at least one response."""

    def page(self, workspace: str, dataset: str, sort_by: str) -> str:
        """Address at which people answer, the record with the largest of this metadata first.

        Who opens the data set otherwise gets an order of the tool's own choice, such as a shuffle for each annotator.
        """

    def last_activity(self, workspace: str, dataset: str) -> datetime | None:
        """When the data set last changed: unchanged means that a sweep would find nothing new."""

    def delete(self, workspace: str, dataset: str, record_ids: Iterable[str]) -> None:
        """Remove records and their responses; a record that is not there is no error."""

    def delete_dataset(self, workspace: str, dataset: str) -> None:
        """Remove the data set; one that is not there is no error."""
