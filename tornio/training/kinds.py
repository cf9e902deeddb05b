"""Choose the kind of model by the number of labelled texts, as far as that decides."""

from __future__ import annotations

from tornio.errors import MissingPlugin
from tornio.models.kinds import ASKED, FINE_TUNED, LAYERED_FEW_SHOT, kind_for
from tornio.spec import ClassifierSpec

AUTO = "auto"
"""The value of ``classifier.kind`` that leaves the kind open."""

LEAST_PER_CLASS = 8
"""With fewer labelled texts for each of the task's labels, ``auto`` does not try to fine-tune. An encoder learns little
of a class from a handful of texts (TREC: with 40 texts for 6 classes, the two kinds are about equal)."""


def choose_kind(spec: ClassifierSpec, texts: int, classes: int) -> tuple[str, str]:
    """Return the kind to train with this number of labelled texts, and why, where the spec leaves it open (``auto``);
    else ''.

    ``classes``: labels of the task. Where ``auto`` returns the fine-tuned kind, the training compares both, and
    publishes the better one (``methods.supervised``). Raises MissingPlugin for a kind that this release does not have.
    """
    asked = kind_for(spec.kind)
    if asked is not None:
        return asked, ""
    if spec.kind != AUTO:
        raise MissingPlugin(
            f"This release has no model kind {spec.kind!r}. Upgrade Tornio, or set classifier.kind to one of: "
            f"{', '.join([*ASKED, AUTO])}."
        )
    if texts < spec.fine_tuned_from:
        why = f"{texts} labelled texts, fewer than classifier.fine_tuned_from ({spec.fine_tuned_from})"
        return LAYERED_FEW_SHOT, why
    if texts < LEAST_PER_CLASS * classes:
        return LAYERED_FEW_SHOT, f"{texts} labelled texts for {classes} labels, fewer than {LEAST_PER_CLASS} for each"
    return FINE_TUNED, f"{texts} labelled texts, classifier.fine_tuned_from ({spec.fine_tuned_from}) or more"
