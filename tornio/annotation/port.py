"""The interface to the annotation tool, which receives batches and returns answers.

Answers are polled, so every read may be repeated, and every write is an upsert by ``record_id``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
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
    """A text that is shown besides the record's own text."""

    name: str
    title: str


@dataclass(frozen=True, slots=True)
class MetadataSpec:
    """A property by which records can be filtered (terms) or sorted (float)."""

    name: str
    title: str
    kind: Literal["terms", "float"]


@dataclass(frozen=True, slots=True)
class DatasetSpec:
    """The wanted data set in the tool. Names consist of lower-case letters, digits, ``_``, ``-`` and spaces."""

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
    """A record to be sent to annotators. ``uncertainty`` is in [0, 1]. ``fields`` and ``metadata`` may only use names
    that the data set has."""

    record_id: str
    text: str
    batch_id: str
    purpose: Purpose
    suggestion: Suggestion | None = None
    uncertainty: float | None = None
    model_version: str | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, MetadataValue] = field(default_factory=dict)
    answered_by: frozenset[str] = frozenset()
    """Accounts that are not to be asked, by their ids, because they have answered in another data set. A record that
    the data set does not have yet gets an empty draft of each of them, so it is not among those that they have still to
    answer."""


class ResponseStatus(StrEnum):
    """The state of an annotator's response. A draft is not an answer."""

    SUBMITTED = "submitted"
    DISCARDED = "discarded"
    DRAFT = "draft"


@dataclass(frozen=True, slots=True)
class Response:
    """One annotator's response to one record. ``labels`` is empty for a discard."""

    response_id: str
    annotator: str
    """The tool's permanent user id."""
    status: ResponseStatus
    labels: tuple[str, ...]
    updated_at: datetime
    """By the tool's clock, which alone decides the order of answers."""


@dataclass(frozen=True, slots=True)
class AnnotatedRecord:
    """A record as the tool has it, with all its responses."""

    record_id: str
    batch_id: str | None
    responses: tuple[Response, ...]
    created_at: datetime | None = None
    """When the tool got the record, by its clock. A record that was deleted and sent again is a new one."""


class AnnotationTool(Protocol):
    """The interface that Argilla and its fake implement.

    Every method raises ``Unavailable`` if the tool is unreachable, and ``Forbidden`` (with what to ask an owner for)
    if the account lacks a right. Methods with a data set's name raise ``NotFound`` if it does not exist.
    """

    def ensure_dataset(self, spec: DatasetSpec) -> None:
        """Create the data set, or update what may change: guidelines, label descriptions, metadata.

        Idempotent. Raises InvalidInput if a data set of that name exists with other questions, or without a field.
        """

    def log(self, workspace: str, dataset: str, records: Sequence[OutgoingRecord]) -> None:
        """Upsert by record_id. Existing responses are kept.

        Raises ValueError for a hold-out record with a suggestion or uncertainty, because these would bias the labels
        that models are evaluated on, and for a field or metadata that the data set does not have.
        """

    def read(self, workspace: str, dataset: str, record_ids: Sequence[str]) -> Sequence[AnnotatedRecord]:
        """Return those of these records that exist, in full and in no certain order."""

    def sweep(self, workspace: str, dataset: str) -> Iterator[AnnotatedRecord]:
        """Iterate over all records that have at least one response. The listing is complete."""

    def accounts(self, workspace: str) -> Mapping[str, str]:
        """Return the names of the accounts that may answer in the workspace, by their permanent ids.

        A deleted account is not among them. Where our own account may not see more, they are the workspace's members.
        Raises NotFound if the workspace does not exist.
        """

    def page(self, workspace: str, dataset: str, sort_by: str) -> str:
        """Return the address of the annotation page, with records sorted by this metadata, largest first.

        Opened otherwise, the data set is in an order that the tool chooses, such as a shuffle per annotator.
        """

    def last_activity(self, workspace: str, dataset: str) -> datetime | None:
        """Return when the data set last changed. If this is unchanged, a sweep would find nothing new."""

    def activity(self, workspaces: Collection[str]) -> Mapping[tuple[str, str], datetime]:
        """Return when each data set of these workspaces last changed, by workspace and name, as ``last_activity`` does.

        One question for all of them. A workspace that does not exist, or that our account does not see, has none.
        """

    def delete(self, workspace: str, dataset: str, record_ids: Iterable[str]) -> None:
        """Delete records and their responses. A record that does not exist is not an error."""

    def delete_dataset(self, workspace: str, dataset: str) -> None:
        """Delete the data set. If it does not exist, that is not an error."""
