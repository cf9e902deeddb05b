"""Pick what pays: a few-shot head, or an encoder that contrastive or supervised training tunes: ``docs/auto.md``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tornio.models.kinds import FINE_TUNED, KINDS, LAYERED_FEW_SHOT
from tornio.spec import ClassifierSpec, FineTuningSpec, NoSettings, Spec
from tornio.training.hooks import Hooks
from tornio.training.kinds import AUTO, choose_kind
from tornio.training.methods.contrastive import ContrastiveSettings, contrasted, contrastive_cost
from tornio.training.methods.port import Facts, Inputs, TrainingMethod, check_labels
from tornio.training.methods.supervised import better, few_shot, fine_tuned, fine_tuning_cost

if TYPE_CHECKING:
    from tornio.models.fewshot import FewShotModel
    from tornio.models.finetuned import FineTunedModel

LEAST_PER_CLASS = 4
"""With fewer labelled texts for each of the task's labels, nothing is tried against the few-shot head: half of them,
which a rehearsal learns from, are one or none of a class."""
MOST_PER_CLASS = 32
"""From so many on for each label, supervised training is tried in place of contrastive training. With 21 of each, on
TREC, contrastive training was better in each of three draws. Its pairs do not grow without end (most_pairs)."""


@dataclass(frozen=True, slots=True)
class Challenger:
    """A training that makes an encoder of its own, and that the few-shot head is compared with.

    ``held_out``: the settings that say which labels it holds out, from those of the spec and the number of labels.
    """

    name: str
    cost: Callable[[Facts], float]
    fit: Callable[[Inputs[Spec], Path, Hooks], FineTunedModel | None]
    held_out: Callable[[FineTuningSpec, int], FineTuningSpec]


def _contrasted(inputs: Inputs[Spec], out: Path, hooks: Hooks) -> FineTunedModel | None:
    return contrasted(inputs, ContrastiveSettings(), out, hooks)


CONTRASTIVE = Challenger(
    "contrastive",
    lambda facts: contrastive_cost(facts, ContrastiveSettings()),
    _contrasted,
    # It always rehearses on halves.
    lambda settings, texts: settings.model_copy(update={"validation_from": texts + 1}),
)
SUPERVISED = Challenger(FINE_TUNED, fine_tuning_cost, fine_tuned, lambda settings, _: settings)


def challenger(spec: ClassifierSpec, texts: int, classes: int, multi_label: bool) -> tuple[Challenger | None, str]:
    """Return what is tried against the few-shot head, and why; None where nothing is.

    ``texts``: labelled texts. ``classes``: labels of the task. Raises MissingPlugin as ``choose_kind`` does.
    """
    kind, why = choose_kind(spec, texts, classes)
    most = max(MOST_PER_CLASS * classes, spec.fine_tuned_from)
    if spec.kind == AUTO and not multi_label and LEAST_PER_CLASS * classes <= texts < most:
        few = f"{LEAST_PER_CLASS} for each or more, below {most}"
        return CONTRASTIVE, f"{texts} labelled texts for {classes} labels, {few}"
    if spec.kind != AUTO:
        chosen = SUPERVISED if KINDS[kind].own_encoder else None
        return chosen, f"classifier.kind is {spec.kind!r}: with 'auto', the method would choose"
    if KINDS[kind].own_encoder:
        return SUPERVISED, why
    if multi_label:
        return None, why
    return None, f"{texts} labelled texts for {classes} labels, fewer than {LEAST_PER_CLASS} for each"


class Auto(TrainingMethod[NoSettings]):
    """Few-shot, or one challenger that the number of labels suggests, whichever has the smaller log-loss on training
    labels that neither learned from."""

    name = "auto"
    reads_pool = False
    settings = NoSettings
    kinds = (LAYERED_FEW_SHOT, FINE_TUNED)

    def cost(self, facts: Facts) -> float:
        spec = facts.spec
        tried, _ = challenger(spec.classifier, facts.labels, len(spec.labels), spec.multi_label)
        return facts.not_embedded + (0.0 if tried is None else tried.cost(facts))

    def choose_kind(self, inputs: Inputs[NoSettings]) -> tuple[str, str]:
        tried, why = _tried(inputs)
        return (LAYERED_FEW_SHOT if tried is None else FINE_TUNED), why

    def spreads(self, inputs: Inputs[NoSettings]) -> bool:
        if _tried(inputs)[0] is None:
            return False
        check_labels(inputs)
        return True

    def fit(self, inputs: Inputs[NoSettings], out: Path, hooks: Hooks) -> FewShotModel | FineTunedModel | None:
        tried, _ = _tried(inputs)
        if tried is None:
            return few_shot(inputs, out)
        model = tried.fit(inputs, out, hooks)
        if model is None or inputs.classifier.kind != AUTO:
            return model
        settings = tried.held_out(inputs.classifier.fine_tuning, len(inputs.labelled))
        return better(model, tried.name, settings, inputs, out)


def _tried(inputs: Inputs[NoSettings]) -> tuple[Challenger | None, str]:
    return challenger(inputs.classifier, len(inputs.labelled), len(inputs.label_names), inputs.multi_label)
