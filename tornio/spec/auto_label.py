"""The section of a spec about labels that a version gives without a person."""

from __future__ import annotations

import math
from typing import Self

from pydantic import model_validator

from tornio.spec.base import Spec, setting


class AutoLabelSpec(Spec):
    """Labels that the serving version gives to confident texts of the pool."""

    target_error: float | None = setting(
        None,
        unit="share of the automatic labels",
        change="live",
        gt=0,
        lt=1,
        doc="At most this share of the automatic labels is wrong. Texts get one only where the hold-out labels of "
        "annotators show that, at the chosen confidence. Default none: no automatic labels.",
    )
    confidence: float = setting(
        0.9,
        change="live",
        ge=0.5,
        lt=1,
        doc="How sure the bound is: over random hold-outs, the share of wrong labels is above target_error with at "
        "most the rest of 1. Default .9; .95 needs about a third more hold-out labels.",
    )
    threshold: float | None = setting(
        None,
        unit="probability",
        change="live",
        gt=0,
        le=1,
        doc="Instead of target_error: every text whose predicted label has at least this probability gets it. Nothing "
        "is tested; the status shows the error that the hold-out measures. Default none.",
    )
    per_class: bool = setting(
        False,
        change="live",
        doc="Whether each predicted label has a threshold of its own, and the bound of target_error holds for each. It "
        "needs about as many hold-out labels for each label as otherwise for all. Default: one for all labels.",
    )
    train: bool = setting(
        False,
        change="next iteration",
        doc="Whether versions are trained on the automatic labels of the version that serves, too. Default no: a model "
        "that learns from its own answers repeats its errors.",
    )
    limit: int = setting(
        20_000,
        unit="records",
        change="live",
        ge=1,
        le=10_000_000,
        doc="A version labels at most so many records. Where more are allowed, those that get a label are drawn at "
        "random, so that the bound holds for them, too. Default 20,000: every process of the task keeps the label log "
        "in memory, about half a kilobyte for each label that was ever given or withdrawn.",
    )

    @property
    def on(self) -> bool:
        """Whether there are automatic labels."""
        return self.target_error is not None or self.threshold is not None

    @property
    def least_holdout(self) -> int:
        """How many hold-out labels allow anything: so many without an error prove the target. 0 for a threshold."""
        if self.target_error is None:
            return 0
        return math.ceil(math.log(1 - self.confidence) / math.log(1 - self.target_error) - 1e-9)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.target_error is not None and self.threshold is not None:
            raise ValueError("auto_label has target_error or threshold, not both: remove one of them")
        if self.target_error is None and self.per_class:
            raise ValueError("auto_label.per_class needs auto_label.target_error")
        if not self.on and self.train:
            raise ValueError("auto_label.train needs auto_label.target_error or auto_label.threshold")
        return self
