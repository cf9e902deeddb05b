"""Learn from labels alone: a few-shot head on cached embeddings, or an encoder fine-tuned together with its head."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tornio.models.kinds import ASKED, FINE_TUNED, KINDS, LAYERED_FEW_SHOT
from tornio.spec import NoSettings
from tornio.training.hooks import Hooks
from tornio.training.kinds import AUTO, choose_kind
from tornio.training.methods.port import Facts, Inputs, TrainingMethod
from tornio.training.targets import check_sufficient, decided

if TYPE_CHECKING:
    from tornio.models.fewshot import FewShotModel
    from tornio.models.finetuned import FineTunedModel

STEP_COST = 3
"""Cost of a training step per text, in forward passes. A backward pass costs about two forward passes."""


class Supervised(TrainingMethod[NoSettings]):
    """The default method. Its settings are ``classifier.kind`` and ``classifier.fine_tuning``."""

    name = "supervised"
    settings = NoSettings
    kinds = (LAYERED_FEW_SHOT, FINE_TUNED)

    def cost(self, facts: Facts) -> float:
        classifier = facts.spec.classifier
        count = 0 if classifier.kind in ASKED else facts.labels
        kind, _ = choose_kind(classifier, count, len(facts.spec.labels))
        if KINDS[kind].own_encoder:
            trainings = 2 if facts.labels < classifier.fine_tuning.validation_from else 1  # it rehearses
            embedded = (
                facts.not_embedded if classifier.kind == AUTO else 0
            )  # for the few-shot head that it competes with
            return embedded + facts.labels * classifier.fine_tuning.epochs * STEP_COST * trainings
        return facts.not_embedded

    def choose_kind(self, inputs: Inputs[NoSettings]) -> tuple[str, str]:
        return choose_kind(inputs.classifier, len(inputs.labelled), len(inputs.label_names))

    def spreads(self, inputs: Inputs[NoSettings]) -> bool:
        kind, _ = self.choose_kind(inputs)
        if not KINDS[kind].own_encoder:
            return False
        Y = decided(inputs.labelled.targets, inputs.multi_label)
        check_sufficient(Y, inputs.label_names, inputs.multi_label)
        return True

    def fit(self, inputs: Inputs[NoSettings], out: Path, hooks: Hooks) -> FewShotModel | FineTunedModel | None:
        kind, _ = self.choose_kind(inputs)
        if not KINDS[kind].own_encoder:
            return _few_shot(inputs, out)
        model = _fine_tuned(inputs, out, hooks)
        return _better(model, inputs, out) if model is not None and inputs.classifier.kind == AUTO else model


def _better(model: FineTunedModel, inputs: Inputs[NoSettings], out: Path) -> FewShotModel | FineTunedModel:
    """Return the model or, where that is better on the same held-out examples, a few-shot model, and write its files.

    The measure is the log-loss after a temperature (``OutOfSample``). The examples are training labels that neither
    learned from, and never those of the hold-out, which judges the version. It costs two fits of a few-shot head.
    """
    from tornio.training.contest import few_shot_loss
    from tornio.training.supervised import HELD_OUT_LOSS

    data = inputs.labelled.select(np.flatnonzero(inputs.labelled.weights > 0))
    fine_tuned = model.head.metrics.get(HELD_OUT_LOSS)
    few_shot = few_shot_loss(
        inputs.layered.embeddings(data.record_ids),
        data,
        inputs.label_names,
        inputs.multi_label,
        inputs.classifier.fine_tuning,
        inputs.seed,
    )
    if fine_tuned is None or few_shot is None:
        return model
    why = (
        f"log-loss on labels that were held out of the training: fine-tuned {fine_tuned:.3f}, few-shot {few_shot:.3f} "
        f"({len(data)} labelled texts)"
    )
    if fine_tuned <= few_shot:
        model.chosen = FINE_TUNED, why
        return model
    for path in out.iterdir():
        path.unlink()
    other = _few_shot(inputs, out)
    other.chosen = LAYERED_FEW_SHOT, why
    return other


def _few_shot(inputs: Inputs[NoSettings], out: Path) -> FewShotModel:
    from tornio.models.decide import decide_labels
    from tornio.models.fewshot import FewShotModel
    from tornio.training.fewshot import fit_few_shot

    data, names, base = inputs.labelled, inputs.label_names, inputs.layered
    labels = decide_labels(data.targets, names, inputs.multi_label)
    vectors = base.embeddings(data.record_ids)
    head = fit_few_shot(vectors, labels, names, inputs.multi_label, inputs.seed, data.weights)
    model = FewShotModel(head, base.use, base.encoder)
    model.save(out)
    return model


def _fine_tuned(inputs: Inputs[NoSettings], out: Path, hooks: Hooks) -> FineTunedModel | None:
    from tornio.training.supervised import fit

    return fit(
        inputs.labelled,
        inputs.label_names,
        inputs.multi_label,
        inputs.base,
        inputs.use,
        out,
        inputs.classifier.fine_tuning,
        inputs.seed,
        precision=inputs.precision,
        hooks=hooks,
        rehearse=True,
    )
