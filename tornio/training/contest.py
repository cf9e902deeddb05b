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
from tornio.training.supervised import REHEARSALS
from tornio.training.targets import Labelled, decided, stratified_folds


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
    folds = stratified_folds(Y, REHEARSALS, seed)
    parts = [held] if held.any() else [folds == part for part in range(REHEARSALS)]
    logits, counts = np.zeros(Y.shape, dtype=np.float32), np.zeros(Y.shape, dtype=bool)
    for part in parts:
        rest = labelled.select(np.flatnonzero(~part))
        present = Y[~part].any(axis=0) & ~Y[~part].all(axis=0)
        if present.sum() < (1 if multi_label else 2):
            continue
        labels = decide_labels(rest.targets, label_names, multi_label)
        head = fit_few_shot(vectors[~part], labels, label_names, multi_label, seed, rest.weights)
        logits[part] = head.logits(vectors[part])
        counts[part] = present & (multi_label | (Y[part] == 1))
    if not counts.any():
        return None
    rows = np.logical_or.reduce(parts)
    loss, _ = OutOfSample(logits[rows], Y[rows], counts[rows], multi_label).temperature()
    return loss
