"""Stop when the hold-out shows that the model is as good as was asked."""

from __future__ import annotations

from collections.abc import Sequence

from tornio.schemas.loop import HoldoutLook
from tornio.spec import Spec, StopSpec, setting
from tornio.stopping.never import Never
from tornio.stopping.port import StopFacts, StopState


class TargetSettings(Spec):
    """What can stand under ``loop.stop.settings`` for ``target-accuracy``."""

    accuracy: float = setting(
        change="live",
        gt=0,
        lt=1,
        doc="Accuracy to reach; with several labels per text, the share of texts with exactly the right labels. "
        "No default.",
    )
    confidence: float = setting(
        0.95,
        change="live",
        ge=0.5,
        lt=1,
        doc="Probability that no version whose bound is looked at is worse than its bound. Default .95, the usual.",
    )


class TargetAccuracy(Never):
    """The lower bound of the last promoted version's accuracy on the hold-out has reached the target.

    Source of the bound: Clopper and Pearson (1934), "The Use of Confidence or Fiducial Limits Illustrated in the Case
    of the Binomial", which is exact: it never covers less than it says. The loop looks after each iteration, which is
    a test repeated, so iteration k may err with the probability (1 - confidence) / (k (k + 1)) only. These sum to
    1 - confidence over all iterations (a union bound), so ``confidence`` holds for all looks together, also for the
    one that stops the loop.
    """

    settings = TargetSettings

    def value(self, signals: Sequence[float], facts: StopFacts, spec: StopSpec) -> float | None:
        return None if facts.holdout is None else _bound(facts.holdout, TargetSettings(**spec.settings))

    def threshold(self, spec: StopSpec) -> float:
        return TargetSettings(**spec.settings).accuracy

    def decide(self, facts: StopFacts, spec: StopSpec) -> StopState:
        asked, look = TargetSettings(**spec.settings), facts.holdout
        if look is None or look.right < asked.accuracy * look.labels:
            return StopState()
        bound = _bound(look, asked)
        if bound < asked.accuracy:
            return StopState()
        return StopState(
            f"{look.right} of {look.labels} hold-out labels are right, so the accuracy is at least {bound:.3f} with "
            f"{asked.confidence:g} confidence, {asked.accuracy:g} asked"
        )


def _bound(look: HoldoutLook, asked: TargetSettings) -> float:
    allowed = (1 - asked.confidence) / (look.iteration * (look.iteration + 1))
    return lower_bound(look.right, look.labels, allowed)


def lower_bound(right: int, n: int, error: float) -> float:
    """Clopper and Pearson's one-sided lower bound of a share: it is above the true share with at most this probability.

    0 where nothing is right.
    """
    from scipy.special import betaincinv  # takes a while to import, which a controller without this criterion saves

    return float(betaincinv(right, n - right + 1, error)) if right else 0.0
