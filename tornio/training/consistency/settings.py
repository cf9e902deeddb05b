"""The settings of consistency training, and its objectives by name. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from tornio.plugins import late
from tornio.spec import Spec, setting


@dataclass(frozen=True, slots=True)
class Way:
    """An objective. ``threshold`` and ``temperature``: where the settings leave them open. ``labelled_passes``: how
    often a step reads a labelled text. ``compute``: a ``tornio.training.consistency.objectives.Compute``."""

    threshold: float
    temperature: float
    labelled_passes: int
    compute: Callable[..., Any]


_MODULE = "tornio.training.consistency.objectives"
OBJECTIVES = {"adamatch": Way(0.9, 1.0, 4, late(_MODULE, "adamatch")), "uda": Way(0.8, 0.4, 1, late(_MODULE, "uda"))}


class ConsistencySettings(Spec):
    """``training.settings`` of the method consistency."""

    objective: Literal["adamatch", "uda"] = setting(
        "adamatch",
        change="next iteration",
        doc="adamatch: the threshold follows how sure the model is of the labelled texts, and predictions for the "
        "others are shifted to the classes' shares. uda: a fixed threshold, sharpened predictions. Default adamatch, "
        "which is the safer one on texts.",
    )
    steps: int = setting(
        100,
        unit="steps",
        change="next iteration",
        ge=10,
        le=1_000_000,
        doc="Steps of the training, rounded up to a multiple of 10, whatever the number of labels. Default 100.",
    )
    learning_rate: float = setting(
        3e-5,
        change="next iteration",
        gt=0,
        le=1,
        doc="Highest learning rate of the encoder. It takes the place of classifier.fine_tuning.learning_rate. Default "
        "3e-5: with the 1e-4 of supervised training, the steps fit the few labels long before the other texts count.",
    )
    batch_size: int = setting(
        8,
        unit="labelled texts",
        change="next iteration",
        ge=1,
        le=4096,
        doc="Labelled texts of a step, over all workers together. It takes the place of "
        "classifier.fine_tuning.batch_size. Default 8.",
    )
    ratio: int = setting(
        3,
        unit="unlabelled texts for each labelled one",
        change="next iteration",
        ge=1,
        le=64,
        doc="Unlabelled texts of a step. Default 3, as AdaMatch's paper has it.",
    )
    weight: float = setting(
        1.0,
        change="next iteration",
        gt=0,
        le=1000,
        doc="Weight of the unlabelled texts' loss. Default 1, as in both papers.",
    )
    threshold: float | None = setting(
        None,
        change="next iteration",
        ge=0,
        le=1,
        doc="Unlabelled texts train whose label has this probability: for adamatch as a share of the mean over "
        "labelled texts. Default null: .9 for adamatch, .8 for uda, as in the papers.",
    )
    temperature: float | None = setting(
        None,
        change="next iteration",
        gt=0,
        le=10,
        doc="Predictions for unlabelled texts are divided by it, as logits, before they are learned; below 1 sharpens. "
        "Default null: 1 for adamatch, .4 for uda, as in the papers.",
    )
    tsa: Literal["none", "linear", "log", "exp"] = setting(
        "linear",
        change="next iteration",
        doc="Schedule of the training-signal annealing, of uda only: labelled texts of which the model is surer than a "
        "rising bound do not train yet. Default linear.",
    )
    augmentations: dict[str, dict[str, Any]] = setting(
        {"word-dropout": {}, "tf-idf": {}},
        change="next iteration",
        min_length=1,
        max_length=20,
        doc="What makes views of texts, with settings of each; one of them is drawn for each view.",
    )
    guard: float = setting(
        0.6,
        unit="share of the entropy",
        change="next iteration",
        ge=0,
        le=1,
        doc="The training is stopped, and a supervised model is kept, where the entropy of the predicted labels falls "
        "below this share of that of the labelled texts' labels. 0 switches the guard off. Default .6.",
    )

    @property
    def way(self) -> Way:
        return OBJECTIVES[self.objective]

    @property
    def chosen_threshold(self) -> float:
        return self.way.threshold if self.threshold is None else self.threshold

    @property
    def chosen_temperature(self) -> float:
        return self.way.temperature if self.temperature is None else self.temperature
