"""Which kind of model a number of labels deserves."""

from __future__ import annotations

from tornio.models.fewshot import KIND as FEW_SHOT
from tornio.models.finetuned import KIND as FINE_TUNED
from tornio.spec import ClassifierSpec


def choose_kind(spec: ClassifierSpec, labels: int) -> tuple[str, str]:
    """The kind to train with so many training labels, and why, where the spec leaves it open (``auto``); else ''."""
    if spec.kind != "auto":
        return spec.kind, ""
    if labels < spec.fine_tuned_from:
        return FEW_SHOT, f"{labels} training labels, fewer than classifier.fine_tuned_from ({spec.fine_tuned_from})"
    return FINE_TUNED, f"{labels} training labels, classifier.fine_tuned_from ({spec.fine_tuned_from}) or more"
