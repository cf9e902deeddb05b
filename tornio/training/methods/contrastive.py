"""Learn from pairs of labelled texts: the encoder is tuned by them, and a head learns from its vectors. See
``docs/contrastive.md``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tornio.errors import InvalidSpec
from tornio.models.kinds import FINE_TUNED
from tornio.spec import Spec, TaskSpec, setting
from tornio.training.hooks import Hooks
from tornio.training.methods.port import Facts, Inputs, TrainingMethod, check_labels
from tornio.training.methods.supervised import STEP_COST

if TYPE_CHECKING:
    from tornio.models.finetuned import FineTunedModel

_TRAININGS = 2
"""The training and its rehearsals, which together cost as much."""


class ContrastiveSettings(Spec):
    """``training.settings`` of the method contrastive."""

    pairs: int = setting(
        10,
        unit="pairs for each labelled text",
        change="next iteration",
        ge=1,
        le=1000,
        doc="How many pairs are drawn for each labelled text. Default 10.",
    )
    most_pairs: int = setting(
        5000,
        unit="pairs",
        change="next iteration",
        ge=1,
        le=1_000_000,
        doc="The most pairs of a training, so that many labels do not train for hours. Default 5000.",
    )
    batch_size: int = setting(
        16,
        unit="pairs",
        change="next iteration",
        ge=2,
        le=4096,
        doc="Pairs of one step, over all workers together. A text is compared with the others of its 16 pairs, which "
        "are the pieces that workers share out, so use a multiple of 16 for each worker. Default 16.",
    )
    learning_rate: float = setting(
        1e-4,
        change="next iteration",
        gt=0,
        le=1,
        doc="Highest learning rate of the encoder. Default 1e-4, which suits MiniLM. Larger encoders want less: 2e-5 "
        "for BERT-base.",
    )


class Contrastive(TrainingMethod[ContrastiveSettings]):
    """SetFit's two steps: see ``training.contrastive``."""

    name = "contrastive"
    reads_pool = False
    settings = ContrastiveSettings
    kinds = (FINE_TUNED,)

    def settings_of(self, spec: TaskSpec) -> ContrastiveSettings:
        if spec.multi_label:
            raise InvalidSpec(
                "contrastive compares texts that have one label each, and multi_label is true: choose another method"
            )
        return super().settings_of(spec)

    def cost(self, facts: Facts) -> float:
        return contrastive_cost(facts, self.settings_of(facts.spec))

    def spreads(self, inputs: Inputs[ContrastiveSettings]) -> bool:
        check_labels(inputs)
        return True

    def fit(self, inputs: Inputs[ContrastiveSettings], out: Path, hooks: Hooks) -> FineTunedModel | None:
        return contrasted(inputs, inputs.settings, out, hooks)


def contrastive_cost(facts: Facts, settings: ContrastiveSettings) -> float:
    """Return the cost of ``contrasted``; see ``TrainingMethod.cost``."""
    pairs = min(settings.pairs * facts.labels, settings.most_pairs)
    return float(2 * pairs * STEP_COST * _TRAININGS)


def contrasted(inputs: Inputs[Spec], settings: ContrastiveSettings, out: Path, hooks: Hooks) -> FineTunedModel | None:
    """Tune the base encoder by pairs of the labels, and fit a head; see ``TrainingMethod.fit``."""
    from tornio.training.contrastive import Tuning, fit

    return fit(
        inputs.labelled,
        inputs.label_names,
        inputs.base,
        inputs.use,
        out,
        Tuning(**settings.model_dump()),
        inputs.classifier.fine_tuning,
        inputs.seed,
        precision=inputs.precision,
        hooks=hooks,
    )
