"""The section of a spec about live texts: which of those that are predicted come into the pool."""

from __future__ import annotations

from tornio.spec.base import Spec, setting


class FeedbackSpec(Spec):
    """How many of the texts that users send for a prediction come into the pool, where annotators may see them."""

    share: float = setting(
        unit="share of the texts",
        change="live",
        gt=0,
        le=1,
        doc="The chance of each live text to come into the pool. It has no default, because it is a decision about "
        "other people's texts. A hundredth, 0.01, is enough for most tasks.",
    )
    per_day: int = setting(
        100,
        unit="texts",
        change="live",
        ge=1,
        le=100_000,
        doc="How many live texts may come into the pool a day (UTC), spread over the day. Default 100: more than a few "
        "annotators label, and a pool that grows by less than 40,000 a year.",
    )
    longest: int = setting(
        2000,
        unit="characters",
        change="live",
        ge=1,
        le=100_000,
        doc="Longer live texts are left out. Default 2,000: a model reads little more, and a long text has more that "
        "identifies somebody.",
    )
