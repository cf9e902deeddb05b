"""Choose the kind of model by the number of labelled texts."""

from __future__ import annotations

from tornio.errors import MissingPlugin
from tornio.models.kinds import FEW_SHOT, FINE_TUNED, KINDS
from tornio.spec import ClassifierSpec

AUTO = "auto"
"""The value of ``classifier.kind`` that leaves the kind open."""


def choose_kind(spec: ClassifierSpec, texts: int) -> tuple[str, str]:
    """Return the kind to train with this number of labelled texts, and why, where the spec leaves it open (``auto``);
    else ''.

    Raises MissingPlugin for a kind that this release does not have.
    """
    if spec.kind in KINDS:
        return spec.kind, ""
    if spec.kind != AUTO:
        raise MissingPlugin(
            f"This release has no model kind {spec.kind!r}. Upgrade Tornio, or set classifier.kind to one of: "
            f"{', '.join([*KINDS, AUTO])}."
        )
    if texts < spec.fine_tuned_from:
        return FEW_SHOT, f"{texts} labelled texts, fewer than classifier.fine_tuned_from ({spec.fine_tuned_from})"
    return FINE_TUNED, f"{texts} labelled texts, classifier.fine_tuned_from ({spec.fine_tuned_from}) or more"
