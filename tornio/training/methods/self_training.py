"""Learn from a few labels and from texts without one, in rounds (UST): see ``docs/self-training.md``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tornio.errors import InvalidSpec
from tornio.models.kinds import FINE_TUNED
from tornio.spec import Spec, TaskSpec, setting
from tornio.training.hooks import Hooks
from tornio.training.methods.port import Facts, Inputs, TrainingMethod, check_labels
from tornio.training.methods.supervised import STEP_COST

if TYPE_CHECKING:
    from tornio.models.finetuned import FineTunedModel


class SelfTrainingSettings(Spec):
    """``training.settings`` of the method self-training."""

    rounds: int = setting(
        3,
        unit="rounds",
        change="next iteration",
        ge=1,
        le=25,
        doc="How many students there are at most, each taught by the one before. Default 3. They end earlier where one "
        "is not better than all before, on labels that were held out.",
    )
    sample_size: int = setting(
        512,
        unit="texts without a label",
        change="next iteration",
        ge=20,
        le=1_000_000,
        doc="How many texts the teacher of each round reads, drawn at random from the pool; all if there are fewer. "
        "Default 512 (the paper: 16,384), because each text is read mc_passes times.",
    )
    learn_size: int = setting(
        256,
        unit="texts without a label",
        change="next iteration",
        ge=2,
        le=1_000_000,
        doc="How many of them the student of each round learns from, the same number of each class. Default 256 (the "
        "paper: 4,096).",
    )
    mc_passes: int = setting(
        8,
        unit="passes with dropout",
        change="next iteration",
        ge=2,
        le=1000,
        doc="How often the teacher reads each text, each time with another dropout. Default 8 (the paper: 30).",
    )
    prefer: Literal["easy", "hard"] = setting(
        "easy",
        change="next iteration",
        doc="easy: texts about which the passes agree are drawn more often. hard: those about which they do not. "
        "Default easy, as in the paper.",
    )
    alpha: float = setting(
        0.1,
        change="next iteration",
        gt=0,
        le=100,
        doc="A text without a label counts -alpha log(variance of the passes), and a labelled text counts 1. Default "
        ".1, as in the authors' code.",
    )
    epochs: int = setting(
        4,
        unit="passes over the texts",
        change="next iteration",
        ge=1,
        le=1000,
        doc="How many times a student passes over its texts. Default 4.",
    )


class SelfTraining(TrainingMethod[SelfTrainingSettings]):
    """A teacher that learned from the labels labels texts of the pool, and a student that starts from the base learns
    from both. It teaches the next one. The round that is best on labels that it did not learn from is the version.

    Texts of the hold-out never enter: they are neither among ``inputs.labelled`` nor among ``inputs.unlabelled``.
    """

    name = "self-training"
    settings = SelfTrainingSettings
    kinds = (FINE_TUNED,)

    def settings_of(self, spec: TaskSpec) -> SelfTrainingSettings:
        if spec.multi_label:
            raise InvalidSpec(
                "self-training gives each text one label, and multi_label is true: choose another training.method"
            )
        return super().settings_of(spec)

    def cost(self, facts: Facts) -> float:
        settings, tuning = self.settings_of(facts.spec), facts.spec.classifier.fine_tuning
        sample = min(facts.pool, settings.sample_size)
        student = min(sample, settings.learn_size)
        labels = facts.labels

        def chain(labels: float, rounds: int) -> float:
            students = (labels + student) * settings.epochs * STEP_COST
            return labels * tuning.epochs * STEP_COST + rounds * (sample * settings.mc_passes + students)

        halves = 0.0 if labels >= tuning.validation_from else 2 * chain(labels / 2, settings.rounds)
        return halves + chain(labels, settings.rounds)

    def spreads(self, inputs: Inputs[SelfTrainingSettings]) -> bool:
        check_labels(inputs)
        return True

    def fit(self, inputs: Inputs[SelfTrainingSettings], out: Path, hooks: Hooks) -> FineTunedModel | None:
        from tornio.training.self_training import fit

        return fit(
            inputs.labelled,
            inputs.label_names,
            inputs.unlabelled.texts,
            inputs.base,
            inputs.use,
            out,
            inputs.classifier.fine_tuning,
            inputs.settings,
            inputs.seed,
            precision=inputs.precision,
            hooks=hooks,
        )
