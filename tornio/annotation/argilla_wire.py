"""Convert Tornio's data to Argilla's JSON and back, with pure functions.

The limits are those of argilla_server 2.8 (``api/schemas/v1``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Self

from tornio.annotation.argilla_markup import guidelines_to_page, to_page
from tornio.annotation.checks import Question
from tornio.annotation.port import (
    AnnotatedRecord,
    DatasetSpec,
    MetadataSpec,
    MetadataValue,
    OutgoingRecord,
    Response,
    ResponseStatus,
)
from tornio.errors import InvalidInput
from tornio.records import Suggestion

Json = dict[str, Any]

FIELD = "text"
QUESTION = "label"
BATCH = "batch"
NONE_OF_THESE = "(none of these)"
"""A choice of every multi-label question. Argilla accepts no empty answer, but a text may have no label at all."""

MAX_GUIDELINES = 10_000
MAX_DESCRIPTION = 1_000
MAX_AGENT = 200
MAX_TERMS = 250
"""Largest number of values in one filter."""
VISIBLE_LABELS = 20
"""Number of labels shown before 'more'; Argilla's own clients choose the same."""
LOG_RECORDS = 100
"""Records per request. The server accepts 500; a hundred take it about a second, far below any proxy's time-out."""
LOG_CHARS = 500_000
"""Characters of text per request: below the common proxy limit of 1 MB, unless a single text is longer."""

FIELD_PAYLOAD: Json = {"name": FIELD, "title": "Text", "required": True, "settings": {"type": "text"}}

# Annotators do not see the last two: knowing where the model is uncertain, or has no prediction, would bias them.
METADATA_PAYLOADS: tuple[Json, ...] = (
    {"name": BATCH, "title": "Batch", "settings": {"type": "terms"}, "visible_for_annotators": True},
    {"name": "uncertainty", "title": "Uncertainty", "settings": {"type": "float"}, "visible_for_annotators": False},
    {"name": "model_version", "title": "Model version", "settings": {"type": "terms"}, "visible_for_annotators": False},
)


@dataclass(frozen=True, slots=True)
class Handle:
    """A published data set, with what is needed to work on its records."""

    dataset_id: str
    question_id: str
    labels: tuple[str, ...]
    multi_label: bool
    fields: tuple[str, ...] = ()
    """Names of the fields besides the text."""
    metadata: tuple[MetadataSpec, ...] = ()

    @classmethod
    def of(cls, dataset: Json, question: Json, fields: Sequence[str], properties: Sequence[Json]) -> Self:
        present = found_question(dataset, question, fields)
        labels = tuple(label for label in present.labels if label != NONE_OF_THESE)
        kinds = [(one["name"], one["title"], one["settings"]["type"]) for one in properties]
        metadata = tuple(MetadataSpec(*one) for one in kinds if one[2] in ("terms", "float"))
        return cls(dataset["id"], question["id"], labels, present.multi_label, present.fields, metadata)


def wanted_question(spec: DatasetSpec) -> Question:
    """Return the question that the data set must ask, including the extra choice of a multi-label question."""
    names = tuple(option["value"] for option in options(spec))
    return replace(Question.of(spec), labels=names)


def found_question(dataset: Json, question: Json, fields: Sequence[str]) -> Question:
    """Return the question that a data set asks. ``fields``: the names of the fields that it shows."""
    names = tuple(option["value"] for option in question["settings"]["options"])
    multi_label = question["settings"]["type"] == "multi_label_selection"
    beside = tuple(name for name in fields if name != FIELD)
    return Question(names, multi_label, dataset["distribution"]["min_submitted"], beside)


def check_limits(spec: DatasetSpec) -> None:
    """Raise InvalidInput for what Argilla would refuse in the middle of the creation."""
    if len(spec.guidelines) > MAX_GUIDELINES:
        raise InvalidInput(
            f"The guidelines of {spec.name} have {len(spec.guidelines)} characters, but Argilla shows at most "
            f"{MAX_GUIDELINES}. Shorten them, or link to a longer text."
        )
    if spec.multi_label and any(label.name == NONE_OF_THESE for label in spec.labels):
        raise InvalidInput(f"The label {NONE_OF_THESE!r} is reserved: annotators choose it for no label. Rename yours.")


def options(spec: DatasetSpec) -> list[Json]:
    """Return the choices of the question. Descriptions that are too long for Argilla are cut; they are only a help."""
    choices = [
        {"value": label.name, "text": label.name, "description": _cut(label.description, MAX_DESCRIPTION)}
        for label in spec.labels
    ]
    if spec.multi_label:
        choices.append({"value": NONE_OF_THESE, "text": "None of these", "description": None})
    return choices


def guidelines(spec: DatasetSpec) -> str | None:
    """Return the guidelines as they are sent. Those of a task of an earlier release are cut if their tags, which are
    longer now, do not fit."""
    shown = guidelines_to_page(spec.guidelines)
    return _cut(shown, MAX_GUIDELINES)


def dataset_payload(spec: DatasetSpec, workspace_id: str) -> Json:
    return {
        "name": spec.name,
        "workspace_id": workspace_id,
        "guidelines": guidelines(spec),
        "distribution": {"strategy": "overlap", "min_submitted": spec.min_submitted},
    }


def question_settings(spec: DatasetSpec) -> Json:
    choices = options(spec)
    return {
        "type": "multi_label_selection" if spec.multi_label else "label_selection",
        "options": choices,
        "visible_options": VISIBLE_LABELS if len(choices) > VISIBLE_LABELS else None,
    }


def question_payload(spec: DatasetSpec) -> Json:
    title = "Labels" if spec.multi_label else "Label"
    return {"name": QUESTION, "title": title, "required": True, "settings": question_settings(spec)}


def field_payloads(spec: DatasetSpec) -> list[Json]:
    """Return the text field and the fields below it, which are optional, so that the text identifies our data sets."""
    beside = [
        {"name": one.name, "title": one.title, "required": False, "settings": {"type": "text"}} for one in spec.fields
    ]
    return [FIELD_PAYLOAD, *beside]


def metadata_payloads(spec: DatasetSpec) -> list[Json]:
    """Return the metadata of every data set, and that of this one, which annotators see and may sort by."""
    besides = [
        {"name": one.name, "title": one.title, "settings": {"type": one.kind}, "visible_for_annotators": True}
        for one in spec.metadata
    ]
    return [*METADATA_PAYLOADS, *besides]


def record_payload(record: OutgoingRecord, handle: Handle, drafts: Sequence[str] = ()) -> Json:
    """Return a record to upsert. Its purpose is not sent: annotators must not see which records are hold-out.

    ``drafts``: ids of accounts that get an empty draft."""
    metadata: Json = {BATCH: record.batch_id}
    if record.model_version is not None:
        metadata["model_version"] = record.model_version
    if record.uncertainty is not None:
        metadata["uncertainty"] = float(record.uncertainty)
    metadata |= {name: _metadata_value(value) for name, value in record.metadata.items()}
    fields = {FIELD: record.text, **record.fields}
    payload: Json = {
        "external_id": record.record_id,
        "fields": {name: to_page(_storable(text)) for name, text in fields.items()},
        "metadata": metadata,
    }
    if drafts:
        payload["responses"] = [{"user_id": account, "status": "draft", "values": {}} for account in drafts]
    if record.suggestion is not None:
        payload["suggestions"] = [_suggestion_payload(record.suggestion, handle)]
    return payload


def _suggestion_payload(suggestion: Suggestion, handle: Handle) -> Json:
    agent = re.sub(r"[^a-zA-Z0-9_:./\s-]", "-", suggestion.agent)[:MAX_AGENT]
    payload: Json = {"question_id": handle.question_id, "type": "model", "agent": agent}
    if not handle.multi_label:
        return payload | {"value": suggestion.labels[0], "score": suggestion.scores[0]}
    if not suggestion.labels:
        return payload | {"value": [NONE_OF_THESE]}
    return payload | {"value": list(suggestion.labels), "score": list(suggestion.scores)}


def chunks(records: Sequence[OutgoingRecord]) -> Iterator[list[OutgoingRecord]]:
    """Split the records, in order, into requests of at most LOG_RECORDS records and (except single texts) LOG_CHARS."""
    chunk: list[OutgoingRecord] = []
    chars = 0
    for record in records:
        size = len(to_page(record.text))
        if chunk and (len(chunk) == LOG_RECORDS or chars + size > LOG_CHARS):
            yield chunk
            chunk, chars = [], 0
        chunk.append(record)
        chars += size
    if chunk:
        yield chunk


def external_id_filter(record_ids: Sequence[str]) -> Json:
    scope = {"entity": "record", "property": "external_id"}
    return {"filters": {"and": [{"type": "terms", "scope": scope, "values": list(record_ids)}]}}


def annotated(record: Json, handle: Handle) -> AnnotatedRecord | None:
    """Return a record with its responses in the order of their first submission; None if it is not one of ours."""
    if not record.get("external_id"):
        return None
    responses = tuple(_response(response, handle) for response in record.get("responses") or ())
    batch_id = (record.get("metadata") or {}).get(BATCH)
    created_at = moment(record["inserted_at"]) if "inserted_at" in record else None
    return AnnotatedRecord(record["external_id"], batch_id, responses, created_at)


def _response(response: Json, handle: Handle) -> Response:
    status = ResponseStatus(response["status"])
    # Discards often carry no values, or null; a draft may contain any part of an answer.
    value = ((response.get("values") or {}).get(QUESTION) or {}).get("value")
    given = set() if status is ResponseStatus.DISCARDED else {value} if isinstance(value, str) else set(value or ())
    labels = tuple(label for label in handle.labels if label in given)
    return Response(response["id"], response["user_id"], status, labels, moment(response["updated_at"]))


def moment(text: str) -> datetime:
    """Parse a time of Argilla. Its times are in UTC without a time zone."""
    time = datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _metadata_value(value: MetadataValue) -> str | float | list[str]:
    if isinstance(value, str):
        return _storable(value)
    return [_storable(term) for term in value] if isinstance(value, tuple) else float(value)


def _cut(text: str | None, most: int) -> str | None:
    if text is None or len(text) <= most:
        return text or None
    return text[: most - 1] + "…"


def _storable(text: str) -> str:
    """Replace characters that databases refuse (NUL and lone surrogates) by the replacement character."""
    return re.sub("[\\x00\\ud800-\\udfff]", "\N{REPLACEMENT CHARACTER}", text)
