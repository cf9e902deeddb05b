"""How good a few-shot head is on the examples that calibrate a fine-tuned model: the same rows, the same measure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tornio.arrays import FloatMatrix
from tornio.models.decide import decide_labels
from tornio.spec import FineTuningSpec
from tornio.training.calibration import OutOfSample
from tornio.training.data import held_out_rows
from tornio.training.fewshot import fit_few_shot
from tornio.training.supervised import half_of, halves
from tornio.training.targets import Labelled, decided


def few_shot_loss(
    vectors: FloatMatrix,
    labelled: Labelled,
    label_names: Sequence[str],
    multi_label: bool,
    settings: FineTuningSpec,
    seed: int,
) -> float | None:
    """Return the mean log-loss of few-shot heads on examples that they did not learn from, after a temperature.

    ``vectors``: float32 [n, dim], the embeddings of ``labelled``, whose weights are above 0. The examples are those on
    which ``supervised.fit`` measures ``held_out_log_loss`` with the same settings and seed, so the two numbers may be
    compared. None where no head can be fitted.
    """
    Y = decided(labelled.targets, multi_label)
    held = held_out_rows(Y, settings, seed)
    parts = [half_of(Y, held, multi_label)] if held.any() else halves(Y, multi_label, seed)
    logits, counts = np.zeros(Y.shape, dtype=np.float32), np.zeros(Y.shape, dtype=bool)
    for part in filter(None, parts):
        rest = labelled.select(part.rest)
        labels = decide_labels(rest.targets, label_names, multi_label)
        head = fit_few_shot(vectors[part.rest], labels, label_names, multi_label, seed, rest.weights)
        logits[part.held] = head.logits(vectors[part.held])
        counts[part.held] = part.counts
    if not counts.any():
        return None
    rows = held if held.any() else np.ones_like(held)
    loss, _ = OutOfSample(logits[rows], Y[rows], counts[rows], multi_label).temperature()
    return loss
