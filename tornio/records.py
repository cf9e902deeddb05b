"""The values that all parts share: records, suggestions, predictions.

Labels are always sequences. A text of a single-label task has a sequence of length one.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

MetadataValue = str | int | float | bool


class Purpose(StrEnum):
    """Why a record is shown to annotators, or why a label was imported."""

    QUERY = "query"
    """Chosen by a query strategy or at random. It trains and never judges."""
    HOLDOUT = "holdout"
    """Drawn at random from the reserve. It judges and never trains."""


@dataclass(frozen=True, slots=True)
class Record:
    """One text of a pool."""

    record_id: str
    text: str
    metadata: Mapping[str, MetadataValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What a model proposes for a record: labels, a score in [0, 1] per label, and the agent that proposes them."""

    labels: tuple[str, ...]
    scores: tuple[float, ...]
    agent: str


@dataclass(frozen=True)  # without slots it is pickled twice as fast, and replicas send thousands
class Prediction:
    """What a served version answers for one text: the one form from the model to the client.

    ``probabilities``: in the order of the task's labels. ``truncated``: the model read only the text's beginning.
    ``revision``: of ``current``, under which the version answered. ``taught_by``: name of the teacher whose labels the
    version learned from; None if it learned from people's labels alone. ``multi_label``: whether a text may have
    several labels. ``outdated_labels``: somebody rolled back to a version with the labels of before they were changed,
    and these are its labels.
    """

    labels: tuple[str, ...]
    probabilities: Mapping[str, float]
    truncated: bool
    version: str
    revision: int
    taught_by: str | None = None
    multi_label: bool = False
    outdated_labels: bool = False


def normalise(text: str) -> str:
    """Return the form in which two texts count as the same: NFKC, case folded, white space collapsed."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def text_digest(text: str) -> str:
    """Return the SHA-256 (hex) of the normalised text. It is equal for texts that count as the same."""
    return hashlib.sha256(normalise(text).encode()).hexdigest()


def default_record_id(text: str) -> str:
    """Return the id of a record that came without one: 32 hex digits of a digest of the exact text."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]
