"""The sections of a spec about models: the classifier and the zero-shot teacher."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from tornio.spec.base import Choice, Spec, setting

CLASSIFIER_KINDS = ("few-shot", "fine-tuned", "auto")
TEACHER_KINDS = ("embedding", "nli", "none")


class FineTuningSpec(Spec):
    """How a fine-tuned model is trained."""

    epochs: int = setting(
        15,
        unit="passes over the labels",
        change="next iteration",
        ge=1,
        le=1000,
        doc="The most, where early stopping is at work; else exactly so many. Default 15: with 260 labels of TREC 5 "
        "do as well, and with fewer labels there are fewer steps in a pass.",
    )
    batch_size: int = setting(
        16,
        unit="examples",
        change="next iteration",
        ge=1,
        le=4096,
        doc="Examples of one step, over all workers, which share it out in pieces of 16: so several workers want as "
        "many times more. Default 16.",
    )
    learning_rate: float = setting(
        1e-4,
        change="next iteration",
        gt=0,
        le=1,
        doc="Of the encoder, at its highest. Default 1e-4, MiniLM's: half of it does as well, twice as much a little "
        "worse. Larger encoders want less: 2e-5 for BERT-base.",
    )
    head_learning_rate: float = setting(
        1e-3,
        change="next iteration",
        gt=0,
        le=1,
        doc="Of the head. Default 1e-3: a tenth of it does no better.",
    )
    warmup: float = setting(
        0.1,
        unit="share of the steps",
        change="next iteration",
        ge=0,
        le=1,
        doc="The learning rate rises from 0 for so long, then falls to 0 in a line. Default a tenth, as in the papers.",
    )
    weight_decay: float = setting(
        0.01,
        change="next iteration",
        ge=0,
        le=1,
        doc="AdamW's, on matrices alone: not on embeddings, biases and norms. Default .01, as in the papers.",
    )
    max_gradient_norm: float = setting(
        1.0,
        change="next iteration",
        gt=0,
        doc="Longer gradients are cut to this length. Default 1, as in the papers.",
    )
    class_weights: Literal["balanced", "none"] = setting(
        "none",
        change="next iteration",
        doc="balanced: classes weigh the same whatever their number of examples; with several labels allowed every "
        "example weighs the same in any case. Default none: on TREC balancing costs half a point.",
    )
    head_start: Literal["logistic-regression", "random"] = setting(
        "logistic-regression",
        change="next iteration",
        doc="What the head is before the first step; logistic-regression: the few-shot head on the frozen encoder. "
        "Default because it learns more from few labels (TREC, 40 labels: .78; random: .70), and no less from many.",
    )
    validation_from: int = setting(
        1000,
        unit="labels",
        change="next iteration",
        ge=20,
        doc="From so many training labels on a share of them is not trained on but tells when to stop. Default 1000: "
        "with fewer, what they teach is worth more than what they tell.",
    )
    validation_share: float = setting(
        0.1,
        unit="share of the training labels",
        change="next iteration",
        gt=0,
        le=0.5,
        doc="How large that share is. Default a tenth.",
    )
    patience: int = setting(
        3,
        unit="passes over the labels",
        change="next iteration",
        ge=1,
        le=1000,
        doc="Stop after so many without a better validation, and keep the best weights. Default 3.",
    )


class ClassifierSpec(Spec):
    """The model that is trained and served."""

    kind: Choice = setting(
        "few-shot",
        change="next iteration",
        doc="few-shot: a regularised logistic regression on a frozen encoder; fine-tuned: an encoder trained together "
        "with its head; auto: few-shot below fine_tuned_from labels, then fine-tuned. Default few-shot because it "
        "trains in a second.",
    )
    encoder: str = setting(
        "minilm",
        change="next iteration",
        doc="Base model: a name that `tornio encoders add` gave it, hub id, s3:// address or local path of a "
        "transformers folder; 'minilm' is the one that the extra tornio[embedded] ships. Default because it is small "
        "and needs no hub.",
    )
    max_length: int = setting(
        256,
        unit="tokens",
        change="next iteration",
        ge=8,
        le=8192,
        doc="Longer texts are cut, and their predictions say so. Default 256: what all-MiniLM was made for.",
    )
    fine_tuned_from: int = setting(
        100,
        unit="labels",
        change="next iteration",
        ge=2,
        doc="auto: from so many training labels on the model is fine-tuned. Default 100: with 20 labels fine-tuned "
        "MiniLM is worse than few-shot or level, with 40 level (SST-2) or better (TREC), with 100 clearly better (TREC "
        ".87 to .80), and it trains for a minute in place of a second.",
    )
    fine_tuning: FineTuningSpec = setting(
        FineTuningSpec(), change="next iteration", doc="How a fine-tuned model is trained."
    )


class TeacherSpec(Spec):
    """The zero-shot model that suggests labels before any is given."""

    kind: Choice = setting(
        "embedding",
        change="live",
        doc="embedding: similarity of text and label; nli: entailment by a cross-encoder; none: no suggestions "
        "until the first version. Default embedding: needs no second model.",
    )
    model: str | None = setting(
        None,
        change="live",
        doc="Hub id, s3:// address or path. Default: the classifier's encoder for 'embedding'; 'nli' needs one.",
    )
    templates: tuple[str, ...] = setting(
        ("{}", "This is about {}.", "The topic is {}."),
        change="live",
        min_length=1,
        max_length=32,
        doc="Sentences with {} for the label (its name, its description); their embeddings are averaged. "
        "Default three neutral ones.",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.kind == "nli" and not self.model:
            raise ValueError("teacher.kind 'nli' needs teacher.model: the hub id or path of an NLI cross-encoder")
        for template in self.templates:
            if template.count("{}") != 1:
                raise ValueError(f"template {template!r} must contain {{}} exactly once, where the label goes")
        return self
