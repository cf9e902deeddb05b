"""The section of a spec about promotion: what a version must achieve before it serves."""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from tornio.spec.base import Spec, setting


class CanarySpec(Spec):
    """How a version that passed the gate is tried on live traffic before it serves."""

    share: float = setting(
        0.1,
        unit="share of the requests",
        change="live",
        ge=0,
        le=0.5,
        doc="Share of the requests that the candidate answers. Where it fails, `current` answers. 0 needs "
        "gates.shadow: the candidate then answers nobody. Default a tenth: enough to see trouble, and few are "
        "affected.",
    )
    minutes: float = setting(
        30.0,
        unit="minutes",
        change="live",
        gt=0,
        le=10_080,
        doc="How long the trial takes, unless the candidate is refused earlier; twice as long if too few texts were "
        "compared by then. Default half an hour.",
    )
    texts: int = setting(
        200,
        unit="texts",
        change="live",
        ge=1,
        doc="How many texts both versions should have predicted for a decision by the trial. With fewer, the gate's "
        "decision stands after twice the time, with a warning. Default 200: the 95 % interval of their agreement is at "
        "most 14 points wide.",
    )


class GateSpec(Spec):
    """What a candidate must achieve before it is deployed."""

    min_holdout: int = setting(
        50,
        unit="labels",
        change="live",
        ge=10,
        doc="With fewer hold-out labels, scores only give warnings, because they are too uncertain. Default 50.",
    )
    significance: float = setting(
        0.05,
        change="live",
        gt=0,
        lt=0.5,
        doc="The chance, at most, that a candidate is refused by its score although it is as good as every version "
        "before it. A McNemar test against `current` has one half of it, tests against the last promoted versions "
        "share the other half; without these, the first has all of it. Default 5 %.",
    )
    max_drop: float = setting(
        0.02,
        unit="accuracy",
        change="live",
        ge=0,
        le=1,
        doc="A candidate that is further than this below one of the last promoted versions is refused, if the "
        "difference is also significant: small losses against each `current` cannot add up. Of tasks with several "
        "labels per text, it is a difference of the exact match. Default 2 points.",
    )
    attention_after: int = setting(
        3,
        unit="refusals in a row",
        change="live",
        ge=1,
        doc="After this many refusals in a row, the status asks for attention. Default 3.",
    )
    replica_deadline_s: float = setting(
        120.0,
        unit="seconds",
        change="live",
        gt=0,
        doc="How long replicas may take to load a candidate. After that, the ones that are ready go on without "
        "the others. Default two minutes.",
    )
    canary: CanarySpec | None = setting(
        None,
        exclude_if=lambda canary: canary is None,  # release 0.2 does not know the field
        change="live",
        doc="Let the candidate answer a share of the live requests, such as {share: 0.1, minutes: 30}, before it "
        "serves. Default none: what passes the gate serves at once.",
    )
    shadow: bool = setting(
        False,
        exclude_if=lambda shadow: not shadow,  # release 0.2 does not know the field
        change="live",
        doc="Let the candidate predict, unseen, all live requests before it serves. It takes as long as gates.canary "
        "says, by default half an hour. Default no: it doubles the work of the replicas meanwhile.",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.canary is not None and not self.canary.share and not self.shadow:
            raise ValueError("gates.canary.share 0 needs gates.shadow: true; else nothing would be compared")
        return self

    @property
    def trial(self) -> CanarySpec | None:
        """How a version is tried on live traffic; None if it is not. Its share is 0 if it only shadows."""
        if self.canary is not None or not self.shadow:
            return self.canary
        return CanarySpec(share=0.0)
