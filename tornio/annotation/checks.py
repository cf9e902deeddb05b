"""What holds for every annotation tool: rules that the real one and the fake share, as pure functions."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Self

from tornio.annotation.port import DatasetSpec, MetadataSpec, MetadataValue, OutgoingRecord
from tornio.errors import InvalidInput
from tornio.records import Purpose, Suggestion


@dataclass(frozen=True, slots=True)
class Question:
    """What a data set asks, as far as answers depend on it."""

    labels: tuple[str, ...]
    multi_label: bool
    min_submitted: int
    fields: tuple[str, ...] = ()
    """Shown beside the text."""

    @classmethod
    def of(cls, spec: DatasetSpec) -> Self:
        labels = tuple(label.name for label in spec.labels)
        return cls(labels, spec.multi_label, spec.min_submitted, tuple(field.name for field in spec.fields))


def check_same_question(dataset: str, found: Question, wanted: Question) -> None:
    """Raise InvalidInput, naming the differences, where a data set that exists asks something else.

    The order of labels is no difference: answers name labels.
    """
    differences = []
    if found.multi_label != wanted.multi_label:
        kinds = {True: "several labels a record", False: "one label a record"}
        differences.append(f"it takes {kinds[found.multi_label]}, not {kinds[wanted.multi_label]}")
    if missing := [label for label in wanted.labels if label not in found.labels]:
        differences.append(f"it lacks the labels {missing}")
    if extra := [label for label in found.labels if label not in wanted.labels]:
        differences.append(f"it has the labels {extra} besides")
    if found.min_submitted != wanted.min_submitted:
        differences.append(f"it asks {found.min_submitted} annotators per record, not {wanted.min_submitted}")
    if unseen := [name for name in wanted.fields if name not in found.fields]:
        differences.append(f"it does not show {unseen}")
    if differences:
        raise InvalidInput(
            f"a data set {dataset} exists already, but {'; '.join(differences)}: "
            "delete or rename it in the annotation tool, or make the task ask the same"
        )


def check_outgoing(
    records: Sequence[OutgoingRecord],
    labels: Collection[str],
    multi_label: bool,
    fields: Collection[str],
    metadata: Collection[MetadataSpec],
) -> None:
    """Raise ValueError where a record may not be shown as it is, InvalidInput where its suggestion does not fit.

    ``fields``, ``metadata``: what the data set has.
    """
    kinds = {one.name: one.kind for one in metadata}
    seen: set[str] = set()
    for record in records:
        if record.record_id in seen:
            raise ValueError(f"record {record.record_id!r} is given twice in one call: send each record once")
        seen.add(record.record_id)
        if record.purpose is Purpose.HOLDOUT and (record.suggestion is not None or record.uncertainty is not None):
            raise ValueError(
                f"hold-out record {record.record_id!r} comes with a suggestion or an uncertainty: "
                "judged labels must not be led, so send it without"
            )
        if record.uncertainty is not None and not 0 <= record.uncertainty <= 1:
            raise ValueError(f"record {record.record_id!r}: uncertainty {record.uncertainty} is not within 0 and 1")
        if unknown := [name for name in record.fields if name not in fields]:
            raise ValueError(f"record {record.record_id!r}: the data set shows no {unknown}; it shows {list(fields)}")
        for name, value in record.metadata.items():
            _check_metadata(record.record_id, name, value, kinds.get(name))
        if record.suggestion is not None:
            _check_suggestion(record.record_id, record.suggestion, labels, multi_label)


def _check_metadata(record_id: str, name: str, value: MetadataValue, kind: str | None) -> None:
    if kind is None:
        raise ValueError(f"record {record_id!r}: the data set has no metadata {name!r}: say so in its spec")
    fits = kind == "terms" if isinstance(value, str | tuple) else kind == "float" and math.isfinite(value)
    if not fits:
        raise ValueError(f"record {record_id!r}: {name} is {value!r}, which is no finite {kind}")


def _check_suggestion(record_id: str, suggestion: Suggestion, labels: Collection[str], multi_label: bool) -> None:
    if unknown := [label for label in suggestion.labels if label not in labels]:
        raise InvalidInput(f"record {record_id!r}: the data set has no labels {unknown}; suggest from {list(labels)}")
    if len(set(suggestion.labels)) != len(suggestion.labels):
        raise ValueError(f"record {record_id!r}: a label is suggested twice in {list(suggestion.labels)}")
    if not multi_label and len(suggestion.labels) != 1:
        raise ValueError(f"record {record_id!r}: {len(suggestion.labels)} labels suggested where exactly one fits")
    if len(suggestion.scores) != len(suggestion.labels) or not all(0 <= score <= 1 for score in suggestion.scores):
        raise ValueError(
            f"record {record_id!r}: scores {list(suggestion.scores)} must be one per suggested label, within 0 and 1"
        )
