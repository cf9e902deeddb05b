"""Model kinds: how a version is stored and loaded. This module is light, so that a controller can read it.

A kind is not a training method: several methods (``tornio.training.methods``) may make versions of one kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

FEW_SHOT = "few-shot"
FINE_TUNED = "fine-tuned"


@dataclass(frozen=True, slots=True)
class ModelKind:
    """What others must know about the versions of one kind.

    ``own_encoder``: whether each version has an encoder of its own, so that cached embeddings of the pool do not help
    it. ``kept``: how many models of this kind a loader keeps in memory after their last use.
    """

    own_encoder: bool
    kept: int


KINDS: Mapping[str, ModelKind] = {
    FEW_SHOT: ModelKind(own_encoder=False, kept=64),  # kilobytes, beside an encoder that many versions share
    FINE_TUNED: ModelKind(own_encoder=True, kept=2),  # the version that serves and the one that is compared with it
}
"""The kinds that this release loads, by ``Manifest.kind``. ``tornio.models.loading`` holds their loaders."""
