"""Texts written for this purpose, which verify that a loaded model is the one that was trained."""

from __future__ import annotations

import numpy as np

from tornio.errors import UnfitCheckpoint
from tornio.models.device import Precision
from tornio.models.port import Model
from tornio.schemas.registry import Probes

TEXTS = (
    "The parcel arrived two days late and the box was torn open.",
    "How far is it from the harbour to the old lighthouse?",
    "Please cancel my order 20417 and refund the 39.90 to my card.",
    "Wunderbar! Das Konzert gestern Abend war jeden Cent wert.",
    "El servidor no responde desde esta mañana; ¿alguien lo está mirando?",
    "ok",
    "",
    "The committee met on Tuesday to talk about the new bridge. " * 12,
)

FLOAT32_TOLERANCE = 1e-3
"""Share of the range of the logits. Other processors and batch sizes change far less (about 1e-6)."""
BFLOAT16_TOLERANCE = 0.03
"""Share of the range of the logits: seven times the measured error of bfloat16 with MiniLM; deeper models err more."""


def make_probes(model: Model, precision: Precision = "float32") -> Probes:
    """Return the outputs of a freshly trained model for ``TEXTS``. ``precision``: the number format it computed in.

    After a training in bfloat16, a loader that computes in float32 gets bfloat16's tolerance, too.
    """
    logits = model.score(TEXTS).logits
    scale = max(1.0, float(np.ptp(logits)))
    coarse = BFLOAT16_TOLERANCE * scale
    fine = FLOAT32_TOLERANCE * scale if precision == "float32" else coarse
    return Probes(
        texts=TEXTS,
        logits=tuple(tuple(float(value) for value in row) for row in logits),
        tolerance={"float32": fine, "bfloat16": coarse},
    )


def check_probes(model: Model, probes: Probes, precision: Precision) -> None:
    """Raise UnfitCheckpoint if the outputs of a model differ from those when it was trained."""
    if not probes.texts or len(probes.texts) != len(probes.logits):
        raise UnfitCheckpoint("its manifest has no usable probes: train again")
    if precision not in probes.tolerance:
        raise UnfitCheckpoint(
            f"its manifest has no tolerance for {precision}: train again, or load it in another precision"
        )
    expected = np.array(probes.logits, dtype=np.float32)
    scores = model.score(probes.texts)
    if scores.logits.shape != expected.shape:
        raise UnfitCheckpoint(f"its outputs for the probes have shape {scores.logits.shape}, not {expected.shape}")
    if not (np.isfinite(scores.logits).all() and np.isfinite(scores.probabilities).all()):
        raise UnfitCheckpoint("its outputs for the probes are not all finite: train again")
    worst = float(np.abs(scores.logits - expected).max())
    allowed = probes.tolerance[precision]
    if not worst <= allowed:
        raise UnfitCheckpoint(
            f"its outputs for the probes differ from those when it was trained: a logit is off by {worst:.4g}, and "
            f"{allowed:.4g} is allowed in {precision}; head and encoder do not match, or one is damaged: train again"
        )
