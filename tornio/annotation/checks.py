"""Rules for every annotation tool, which the real one and the fake share, as pure functions."""

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
    """The question of a data set, as far as answers depend on it."""

    labels: tuple[str, ...]
    multi_label: bool
    min_submitted: int
    fields: tuple[str, ...] = ()
    """Names of the fields that are shown besides the text."""

    @classmethod
    def of(cls, spec: DatasetSpec) -> Self:
        labels = tuple(label.name for label in spec.labels)
        return cls(labels, spec.multi_label, spec.min_submitted, tuple(field.name for field in spec.fields))


def check_same_question(dataset: str, present: Question, wanted: Question) -> None:
    """Raise InvalidInput, naming the differences, if an existing data set asks another question.

    The order of labels makes no difference, because answers name their labels.
    """
    differences = []
    if present.multi_label != wanted.multi_label:
        kinds = {True: "several labels per record", False: "one label per record"}
        differences.append(f"it takes {kinds[present.multi_label]}, not {kinds[wanted.multi_label]}")
    if missing := [label for label in wanted.labels if label not in present.labels]:
        differences.append(f"it lacks the labels {missing}")
    if extra := [label for label in present.labels if label not in wanted.labels]:
        differences.append(f"it also has the labels {extra}")
    if present.min_submitted != wanted.min_submitted:
        differences.append(f"it asks {present.min_submitted} annotators per record, not {wanted.min_submitted}")
    if unseen := [name for name in wanted.fields if name not in present.fields]:
        differences.append(f"it does not show {unseen}")
    if differences:
        raise InvalidInput(
            f"A data set {dataset} already exists, but {'; '.join(differences)}. "
            "Use another name, change the task to match it, or, if nobody needs it, delete or rename it in the "
            "annotation tool."
        )


def check_outgoing(
    records: Sequence[OutgoingRecord],
    labels: Collection[str],
    multi_label: bool,
    fields: Collection[str],
    metadata: Collection[MetadataSpec],
) -> None:
    """Raise ValueError for a record that must not be shown, and InvalidInput for a suggestion that does not fit.

    ``fields``, ``metadata``: what the data set has.
    """
    kinds = {one.name: one.kind for one in metadata}
    seen: set[str] = set()
    for record in records:
        if record.record_id in seen:
            raise ValueError(f"Record {record.record_id!r} is given twice in one call. Send each record once.")
        seen.add(record.record_id)
        if record.purpose is Purpose.HOLDOUT and (record.suggestion is not None or record.uncertainty is not None):
            raise ValueError(
                f"Hold-out record {record.record_id!r} has a suggestion or an uncertainty. Send it without, "
                "because these would bias the labels that models are evaluated on."
            )
        if record.uncertainty is not None and not 0 <= record.uncertainty <= 1:
            raise ValueError(f"Record {record.record_id!r}: uncertainty {record.uncertainty} is not between 0 and 1.")
        if unknown := [name for name in record.fields if name not in fields]:
            raise ValueError(
                f"Record {record.record_id!r}: the data set does not have the fields {unknown}; it has {list(fields)}."
            )
        for name, value in record.metadata.items():
            _check_metadata(record.record_id, name, value, kinds.get(name))
        if record.suggestion is not None:
            _check_suggestion(record.record_id, record.suggestion, labels, multi_label)


def _check_metadata(record_id: str, name: str, value: MetadataValue, kind: str | None) -> None:
    if kind is None:
        raise ValueError(f"Record {record_id!r}: the data set has no metadata {name!r}. Add it to its DatasetSpec.")
    fits = kind == "terms" if isinstance(value, str | tuple) else kind == "float" and math.isfinite(value)
    if not fits:
        raise ValueError(f"Record {record_id!r}: {name} is {value!r}, which is not a valid (finite) {kind}.")


def _check_suggestion(record_id: str, suggestion: Suggestion, labels: Collection[str], multi_label: bool) -> None:
    if unknown := [label for label in suggestion.labels if label not in labels]:
        raise InvalidInput(f"Record {record_id!r}: the data set has no labels {unknown}. Suggest from {list(labels)}.")
    if len(set(suggestion.labels)) != len(suggestion.labels):
        raise ValueError(f"Record {record_id!r}: a label is suggested twice in {list(suggestion.labels)}.")
    if not multi_label and len(suggestion.labels) != 1:
        raise ValueError(f"Record {record_id!r}: {len(suggestion.labels)} labels are suggested, but exactly one fits.")
    if len(suggestion.scores) != len(suggestion.labels) or not all(0 <= score <= 1 for score in suggestion.scores):
        raise ValueError(
            f"Record {record_id!r}: scores {list(suggestion.scores)} must be one per suggested label, between 0 and 1."
        )
