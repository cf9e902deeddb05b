"""Learn from labels alone: a few-shot head on cached embeddings, or an encoder fine-tuned together with its head."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tornio.models.kinds import ASKED, FINE_TUNED, KINDS, LAYERED_FEW_SHOT
from tornio.spec import FineTuningSpec, NoSettings, Spec
from tornio.training.hooks import Hooks
from tornio.training.kinds import AUTO, choose_kind
from tornio.training.methods.port import Facts, Inputs, TrainingMethod, check_labels

if TYPE_CHECKING:
    from tornio.models.fewshot import FewShotModel
    from tornio.models.finetuned import FineTunedModel

STEP_COST = 3
"""Cost of a training step per text, in forward passes. A backward pass costs about two forward passes."""


class Supervised(TrainingMethod[NoSettings]):
    """The default method. Its settings are ``classifier.kind`` and ``classifier.fine_tuning``."""

    name = "supervised"
    reads_pool = False
    settings = NoSettings
    kinds = (LAYERED_FEW_SHOT, FINE_TUNED)

    def cost(self, facts: Facts) -> float:
        classifier = facts.spec.classifier
        count = 0 if classifier.kind in ASKED else facts.labels
        kind, _ = choose_kind(classifier, count, len(facts.spec.labels))
        if KINDS[kind].own_encoder:
            embedded = (
                facts.not_embedded if classifier.kind == AUTO else 0
            )  # for the few-shot head that it competes with
            return embedded + fine_tuning_cost(facts)
        return facts.not_embedded

    def choose_kind(self, inputs: Inputs[NoSettings]) -> tuple[str, str]:
        return choose_kind(inputs.classifier, len(inputs.labelled), len(inputs.label_names))

    def spreads(self, inputs: Inputs[NoSettings]) -> bool:
        kind, _ = self.choose_kind(inputs)
        if not KINDS[kind].own_encoder:
            return False
        check_labels(inputs)
        return True

    def fit(self, inputs: Inputs[NoSettings], out: Path, hooks: Hooks) -> FewShotModel | FineTunedModel | None:
        kind, _ = self.choose_kind(inputs)
        if not KINDS[kind].own_encoder:
            return few_shot(inputs, out)
        model = fine_tuned(inputs, out, hooks)
        if model is None or inputs.classifier.kind != AUTO:
            return model
        return better(model, FINE_TUNED, inputs.classifier.fine_tuning, inputs, out)


def fine_tuning_cost(facts: Facts) -> float:
    """Return the cost of ``fine_tuned``; see ``TrainingMethod.cost``."""
    settings = facts.spec.classifier.fine_tuning
    trainings = 2 if facts.labels < settings.validation_from else 1  # it rehearses
    return float(facts.labels * settings.epochs * STEP_COST * trainings)


def better(
    model: FineTunedModel, name: str, settings: FineTuningSpec, inputs: Inputs[Spec], out: Path
) -> FewShotModel | FineTunedModel:
    """Return the model or, unless it is better on the same held-out examples, a few-shot model, and write its files.

    The measure is the log-loss after a temperature (``OutOfSample``). The examples are training labels that neither
    learned from, and never those of the hold-out, which judges the version. From ``validation_from`` labels on, the
    same examples have chosen the model's best epoch, which favours it slightly. It costs two fits of a few-shot head.

    ``name``: what the reason calls the model. ``settings``: they say which examples its training held out.
    """
    from tornio.training.contest import few_shot_loss
    from tornio.training.supervised import HELD_OUT_LOSS

    data = inputs.labelled.select(np.flatnonzero(inputs.labelled.weights > 0))
    loss = model.head.metrics.get(HELD_OUT_LOSS)
    few_shots = few_shot_loss(
        inputs.layered.embeddings(data.record_ids),
        data,
        inputs.label_names,
        inputs.multi_label,
        settings,
        inputs.seed,
    )
    if loss is None or few_shots is None:
        why = f"no label could be held out of the training, so nothing shows whether {name} is better than few-shot"
    else:
        why = (
            f"log-loss on labels that were held out of the training: {name} {loss:.3f}, few-shot {few_shots:.3f} "
            f"({len(data)} labelled texts)"
        )
        if loss <= few_shots:
            model.chosen = FINE_TUNED, why
            return model
    for path in out.iterdir():
        path.unlink()
    other = few_shot(inputs, out)
    other.chosen = LAYERED_FEW_SHOT, why
    return other


def few_shot(inputs: Inputs[Spec], out: Path) -> FewShotModel:
    """Write the files of a few-shot model of the labels into an empty folder, and return the model."""
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


def fine_tuned(inputs: Inputs[Spec], out: Path, hooks: Hooks) -> FineTunedModel | None:
    """Fine-tune the base encoder on the labels; see ``TrainingMethod.fit``."""
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
