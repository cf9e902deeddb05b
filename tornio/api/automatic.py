"""Automatic labels in the status of a task."""

from __future__ import annotations

from tornio.api.base import Answer


class AutoMeasureOut(Answer):
    """What the hold-out says about a threshold. ``label``: the predicted label that it is for; None for all labels.

    ``coverage``: share of the unlabelled texts at or above it. ``wrong`` of ``judged`` hold-out labels there are
    wrong. ``bound``: upper confidence bound of the share of wrong labels; with ``low``, the ends of an interval.
    Without a ``threshold``, none passes.
    """

    label: str | None = None
    threshold: float | None = None
    coverage: float = 0.0
    judged: int = 0
    wrong: int = 0
    low: float | None = None
    bound: float | None = None


class OutlookOut(Answer):
    """With so many hold-out labels by annotators, this share of the unlabelled texts would probably get a label."""

    holdout: int
    coverage: float


class AutomaticStatus(Answer):
    """The labels that versions give. ``why``: how they stand, in a sentence.

    ``version``: whose labels stand, ``labels`` of them. ``target_error`` at ``confidence``, or a ``threshold`` that is
    not tested. ``holdout``: hold-out labels by annotators; below ``least_holdout``, nothing can be shown.
    ``unlabelled``, ``allowed``: texts when the version last looked, and those that its thresholds allow.
    ``withdrawn``: why labels of versions were withdrawn, unless others took their place. ``learned``: why versions that
    were trained on those are not promoted.
    """

    why: str
    version: str | None = None
    labels: int = 0
    target_error: float | None = None
    confidence: float
    threshold: float | None = None
    holdout: int = 0
    least_holdout: int = 0
    unlabelled: int | None = None
    allowed: int | None = None
    measures: list[AutoMeasureOut] = []
    outlook: list[OutlookOut] = []
    withdrawn: dict[str, str] = {}
    learned: dict[str, str] = {}
