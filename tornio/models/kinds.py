"""Model kinds: how a version is stored and loaded. This module is light, so that a controller can read it.

A kind is not a training method: several methods (``tornio.training.methods``) may make versions of one kind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

LAYERED_FEW_SHOT = "layered-few-shot"
FEW_SHOT = "few-shot"
FINE_TUNED = "fine-tuned"


@dataclass(frozen=True, slots=True)
class ModelKind:
    """What others must know about the versions of one kind.

    ``asked_as``: the ``classifier.kind`` of a spec that asks for it. A spec says what is learned, and a kind also says
    what a loader must be able to compute, so several kinds may answer to one name.
    ``own_encoder``: whether each version has an encoder of its own, so that cached embeddings of the pool do not help
    it. ``kept``: how many models of this kind a loader keeps in memory after their last use.
    """

    asked_as: str
    own_encoder: bool
    kept: int


KINDS: Mapping[str, ModelKind] = {
    # Kilobytes, beside an encoder that many versions share.
    LAYERED_FEW_SHOT: ModelKind(asked_as="few-shot", own_encoder=False, kept=64),
    FEW_SHOT: ModelKind(asked_as="few-shot", own_encoder=False, kept=64),
    # The version that serves and the one that is compared with it.
    FINE_TUNED: ModelKind(asked_as="fine-tuned", own_encoder=True, kept=2),
}
"""The kinds that this release loads, by ``Manifest.kind``. ``tornio.models.loading`` holds their loaders. Of the kinds
that answer to one name, a training makes the first that its method can make."""

ASKED = tuple(dict.fromkeys(kind.asked_as for kind in KINDS.values()))
"""The names that ``classifier.kind`` of a spec may have, besides ``auto``."""


def kind_for(asked: str, makes: Sequence[str] = tuple(KINDS)) -> str | None:
    """Return the kind that a method which makes the kinds ``makes`` trains for this ``classifier.kind``; None if it
    makes none of that name."""
    return next((name for name, kind in KINDS.items() if kind.asked_as == asked and name in makes), None)
