"""Learn from a teacher's labels of the pool, with or without labels of people: see ``docs/bootstrap.md``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from tornio.arrays import FloatMatrix
from tornio.errors import InvalidSpec
from tornio.models.kinds import FINE_TUNED, KINDS, LAYERED_FEW_SHOT, kind_for
from tornio.spec import NO_TEACHER, Spec, TaskSpec, setting
from tornio.training.hooks import Hooks
from tornio.training.methods.port import Facts, Inputs, TrainingMethod
from tornio.training.methods.supervised import STEP_COST
from tornio.training.targets import Labelled, decided

if TYPE_CHECKING:
    from tornio.models.fewshot import FewShotModel
    from tornio.models.finetuned import FineTunedModel
    from tornio.training.pseudo_labels import Taught


class DistillationSettings(Spec):
    """``training.settings`` of the method distillation."""

    shares: tuple[Annotated[float, Field(gt=0, le=1)], ...] = setting(
        (0.3, 0.4, 0.5, 0.6, 0.8),
        unit="share of the texts of each class",
        change="next iteration",
        min_length=1,
        max_length=20,
        doc="One number for each round: which share of each class it learns from, the surest first. Each round labels "
        "the pool again. Default five rounds that grow from .3 to .8.",
    )
    label_weight: float = setting(
        10.0,
        unit="texts of the teacher",
        change="next iteration",
        gt=0,
        le=1e6,
        doc="How many texts that the teacher labelled a text counts for that a person labelled. Default 10.",
    )


class Distillation(TrainingMethod[DistillationSettings]):
    """A student of the teacher: it learns from the pool's soft labels, and from labels of people where there are any.

    few-shot: the head of ``pseudo_labels.learn``. fine-tuned: the encoder learns what that head says of the texts of
    which it is surest, as soft targets. Texts of the hold-out never enter: they are not among ``inputs.unlabelled``.
    """

    name = "distillation"
    settings = DistillationSettings
    kinds = (LAYERED_FEW_SHOT, FINE_TUNED)
    asks_teacher = True

    def settings_of(self, spec: TaskSpec) -> DistillationSettings:
        if spec.multi_label:
            raise InvalidSpec("distillation gives each text one label, and multi_label is true: choose another method")
        if spec.teacher.kind == NO_TEACHER:
            raise InvalidSpec("distillation learns from a teacher, and teacher.kind is 'none': set it, for example to "
                              "'embedding', or choose another method")  # fmt: skip
        return super().settings_of(spec)

    def cost(self, facts: Facts) -> float:
        kind = kind_for(facts.spec.classifier.kind, self.kinds)
        steps = 0.0
        if kind is not None and KINDS[kind].own_encoder:
            steps = facts.pool * facts.spec.classifier.fine_tuning.epochs * STEP_COST
        # The whole pool, since an embedded text need not have a label of this teacher, which nothing here can tell.
        return facts.not_embedded + facts.spec.teacher.cost * facts.pool + steps

    def spreads(self, inputs: Inputs[DistillationSettings]) -> bool:
        if not KINDS[self.choose_kind(inputs)[0]].own_encoder:
            return False
        # Soft labels and embeddings are stored before workers start, or each of them would ask the teacher and embed.
        _teachable(inputs)
        inputs.layered.embeddings(inputs.labelled.record_ids)
        return True

    def fit(
        self, inputs: Inputs[DistillationSettings], out: Path, hooks: Hooks
    ) -> FewShotModel | FineTunedModel | None:
        taught = _taught(inputs)
        if KINDS[self.choose_kind(inputs)[0]].own_encoder:
            return _fine_tuned(inputs, taught, out, hooks)
        return _few_shot(inputs, taught, out)


def _teachable(inputs: Inputs[DistillationSettings]) -> tuple[FloatMatrix, FloatMatrix]:
    """Return the vectors of the unlabelled texts that have a soft label, and these. Raises InvalidInput where they
    teach nothing.

    Where too few texts are unlabelled, those that people have labelled are among them: people's labels count more.
    """
    from tornio.training.pseudo_labels import check_teachable, least_texts

    texts = inputs.unlabelled.record_ids
    if len(texts) < least_texts(len(inputs.label_names)):  # near the end of a pool
        texts = (*texts, *inputs.labelled.record_ids)
    vectors, probabilities = inputs.layered.embeddings(texts), inputs.soft_labels(texts)
    taught = ~np.isnan(probabilities).any(axis=1)  # of the others the teacher said nothing usable
    vectors, probabilities = vectors[taught], probabilities[taught]
    check_teachable(vectors, probabilities, inputs.label_names)
    return vectors, probabilities


def _taught(inputs: Inputs[DistillationSettings]) -> Taught:
    from tornio.training.pseudo_labels import Known, learn

    base, data = inputs.layered, inputs.labelled
    vectors, probabilities = _teachable(inputs)
    known = None
    if len(data):
        classes = decided(data.targets, False).argmax(axis=1)
        known = Known(
            base.embeddings(data.record_ids), classes, data.weights * np.float32(inputs.settings.label_weight)
        )
    return learn(vectors, probabilities, inputs.settings.shares, known)


def _few_shot(inputs: Inputs[DistillationSettings], taught: Taught, out: Path) -> FewShotModel:
    from tornio.models.fewshot import FewShotModel
    from tornio.models.head import LinearHead

    head = LinearHead(inputs.label_names, False, taught.weight, taught.bias, taught.metrics)
    model = FewShotModel(head, inputs.layered.use, inputs.layered.encoder)
    model.save(out)
    return model


def _fine_tuned(inputs: Inputs[DistillationSettings], taught: Taught, out: Path, hooks: Hooks) -> FineTunedModel | None:
    from tornio.training.pseudo_labels import surest
    from tornio.training.supervised import fit

    free, data = inputs.unlabelled, inputs.labelled
    probabilities = taught.probabilities(inputs.layered.embeddings(free.record_ids))
    rows = surest(probabilities, inputs.settings.shares[-1])
    weights = np.concatenate([np.ones(len(rows)), data.weights * inputs.settings.label_weight]).astype(np.float32)
    examples = Labelled(
        record_ids=(*(free.record_ids[row] for row in rows), *data.record_ids),
        texts=(*(free.texts[row] for row in rows), *data.texts),
        targets=np.concatenate([probabilities[rows], data.targets]),
        weights=weights / weights.mean(),
    )
    settings = inputs.classifier.fine_tuning
    model = fit(
        examples, inputs.label_names, False, inputs.base, inputs.use, out, settings, inputs.seed,
        precision=inputs.precision, hooks=hooks, calibrate=False,
    )  # fmt: skip
    return model and model.with_metrics({**taught.metrics, **model.head.metrics})
