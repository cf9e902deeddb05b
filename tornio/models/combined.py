"""Several teachers together: the mean of what they say of a text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from tornio.arrays import DoubleArray, FloatMatrix
from tornio.models.head import sigmoid, softmax
from tornio.models.port import Scores, ZeroShotModel
from tornio.spec import LabelSpec

DOUBT = 0.05
"""The share of texts of which nobody believes a teacher: it may be wrong, however sure it is. Default .05: without any,
a chat model that is always sure decides alone. On AG News, TREC and SST-2 no other share was better in accuracy and
log-loss together: see ``docs/teachers.md``."""
VERSION = 1
"""Number of the way in which teachers are combined. It enters the digest of their soft labels."""
_PREFIX = "teacher:"


def combine(each: Sequence[FloatMatrix], multi_label: bool) -> FloatMatrix:
    """Return what teachers say together, float32 [n, labels].

    ``each``: float32 [n, labels] of each teacher, probabilities; the row of a text of which it says nothing is NaN. A
    row of the result is the mean over the teachers that say something of it, and NaN where none does.

    A teacher is believed in 95 of 100 texts (``DOUBT``): its probabilities p become .95 p + .05 / labels. The result is
    the softmax of the mean of their logarithms. With several labels allowed, each label is such a choice between yes
    and no: the result is the sigmoid of the mean of the log-odds of .95 p + .025.

    Source: the logarithmic opinion pool with equal weights (Genest and Zidek 1986, "Combining Probability
    Distributions: A Critique and an Annotated Bibliography"). Deviation: the doubt, which is the noise of label
    smoothing (Szegedy et al. 2016, section 7). Teachers are not calibrated further, because their agreement is no
    measure of it: see ``docs/teachers.md``.
    """
    values = np.stack([_evidence(one, multi_label) for one in each])
    silent = np.isnan(values).any(axis=2)
    values[silent] = 0.0
    counts = (~silent).sum(axis=0)[:, None]
    mean = values.sum(axis=0) / np.maximum(counts, 1)
    found = (sigmoid if multi_label else softmax)(mean.astype(np.float32))
    found[counts[:, 0] == 0] = np.nan
    return found


def _evidence(probabilities: FloatMatrix, multi_label: bool) -> DoubleArray:
    """Return log-probabilities, or log-odds, of believed probabilities."""
    choices = 2 if multi_label else probabilities.shape[1]
    believed = (1 - DOUBT) * probabilities.astype(np.float64) + DOUBT / choices
    logs: DoubleArray = np.log(believed)
    return logs - np.log1p(-believed) if multi_label else logs


class CombinedZeroShot:
    """The ``ZeroShotModel`` of several teachers: see ``combine``."""

    def __init__(self, members: Sequence[tuple[ZeroShotModel, Sequence[str]]]) -> None:
        """``members``: each with its templates."""
        self._members = tuple(members)

    @property
    def name(self) -> str:
        """``teacher:combined:`` and the names of the members."""
        return f"{_PREFIX}combined:" + "+".join(model.name.removeprefix(_PREFIX) for model, _ in self._members)

    def score(
        self, texts: Sequence[str], labels: Sequence[LabelSpec], templates: Sequence[str], multi_label: bool = False
    ) -> Scores:
        """As ``ZeroShotModel.score``; each member uses its own templates. Raises as its members do."""
        each = [model.score(texts, labels, own, multi_label) for model, own in self._members]
        probabilities = combine([one.probabilities for one in each], multi_label)
        logits = np.log(probabilities)
        if multi_label:
            logits = logits - np.log1p(-probabilities)
        tally = Counter[str]()
        for one in each:
            tally.update(one.tally)
        return Scores(logits, probabilities, np.any([one.truncated for one in each], axis=0), tally)
