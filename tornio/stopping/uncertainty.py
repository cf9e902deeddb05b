"""Stop when the model is sure of (almost) all texts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tornio.arrays import FloatMatrix
from tornio.spec import Spec, StopSpec, setting
from tornio.stopping.port import StopFacts, StopPredictions


class UncertaintySettings(Spec):
    """What can stand under ``loop.stop.settings`` for ``overall-uncertainty``."""

    threshold: float = setting(
        0.05,
        change="live",
        unit="share of the greatest entropy",
        gt=0,
        lt=1,
        doc="Stop when the mean normalised entropy is below this. Default .05, as in small-text.",
    )


class OverallUncertainty:
    """The mean entropy of the model's predictions on the stop set, as a share of the greatest, is below a threshold.

    Source: Zhu, Wang and Hovy (2008), "Multi-Criteria-Based Strategy to Stop Active Learning for Data Annotation",
    COLING, section 3.2, which takes all unlabelled texts; here it is the stop set. With several labels per text, each
    label is a yes or no of its own, and the mean goes over these too. It is measured from the second version on, as
    every signal is.
    """

    settings = UncertaintySettings

    def signal(self, before: StopPredictions, after: StopPredictions) -> float | None:
        return mean_entropy(after.probabilities, after.multi_label)

    def reason(self, signals: Sequence[float], spec: StopSpec) -> str | None:
        asked = self.threshold(spec)
        if not signals or signals[-1] >= asked:
            return None
        return f"the model is sure: its mean uncertainty is {signals[-1]:.4f}, less than {asked:g} asked"

    def threshold(self, spec: StopSpec) -> float:
        return UncertaintySettings(**spec.settings).threshold

    def value(self, signals: Sequence[float], facts: StopFacts, spec: StopSpec) -> float | None:
        return signals[-1] if signals else None


def mean_entropy(probabilities: FloatMatrix, multi_label: bool) -> float | None:
    """Mean entropy of the rows of [n, K], each as a share of the greatest, log K; None for a single class.

    With several labels, the mean over all n K yes-or-no predictions, each as a share of log 2.
    """
    share = probabilities.astype(np.float64)
    if multi_label:
        share = np.stack([share, 1 - share], axis=-1).reshape(-1, 2)
    if share.shape[1] < 2 or not len(share):
        return None
    share = share / share.sum(axis=1, keepdims=True)
    logs = np.log(share, out=np.zeros_like(share), where=share > 0)
    return float(-(share * logs).sum(axis=1).mean() / np.log(share.shape[1]))
