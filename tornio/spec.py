"""What a user configures: ``task.yaml`` as frozen models.

Each field says its unit, its default and why, and what happens when it changes on a living task:

- ``live``: takes effect at the controller's next look;
- ``next iteration``: takes effect when the next batch closes;
- ``new generation``: would start a new generation of the task;
- ``refused``: cannot change; make a new task instead.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

NAME_PATTERN = r"^[a-z0-9][a-z0-9_-]{0,62}$"
Change = Literal["live", "next iteration", "new generation", "refused"]
Name = Annotated[str, Field(pattern=NAME_PATTERN)]


def setting(default: Any = ..., *, doc: str, change: Change, unit: str = "", **limits: Any) -> Any:
    """A field of a spec with its documentation: what it is, its unit, and what changing it later does."""
    return Field(default, description=doc, json_schema_extra={"unit": unit, "change": change}, **limits)


class Spec(BaseModel):
    """Base of the spec's sections: frozen, and a field that nobody knows is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class LabelSpec(Spec):
    """One label; in task.yaml a bare string is its name."""

    name: str = setting(
        doc="What annotators click and predictions say, at most 200 characters.",
        change="new generation",
        min_length=1,
        max_length=200,
        pattern=r"^\S(.*\S)?$",
    )
    description: str | None = setting(
        None,
        doc="One sentence for the teacher and for annotators. Default none: the name alone is used.",
        change="live",
        max_length=2000,
    )


def _label(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


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

    kind: Literal["few-shot", "fine-tuned", "auto"] = setting(
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


class TrainingSpec(Spec):
    """How the classifier is learned."""

    method: str = setting(
        "supervised",
        change="next iteration",
        doc="Training method: supervised, which learns from the labels alone, or a method that an installed package "
        "brings. Default supervised.",
    )
    settings: dict[str, Any] = setting(
        {},
        change="next iteration",
        doc="Settings of that method, by name. Default none; supervised has none here, because classifier.fine_tuning "
        "holds them.",
    )


class TeacherSpec(Spec):
    """The zero-shot model that suggests labels before any is given."""

    kind: Literal["embedding", "nli", "none"] = setting(
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


class StopSpec(Spec):
    """When more labels stop paying."""

    criterion: Literal["kappa-average", "max-iterations", "none"] = setting(
        "kappa-average",
        change="live",
        doc="kappa-average: predictions on the stop set hardly change any more; max-iterations; none: never by itself.",
    )
    window: int = setting(
        3,
        unit="iterations",
        change="live",
        ge=1,
        le=100,
        doc="kappa-average: agreements that are averaged. Default 3, as in the paper.",
    )
    kappa: float = setting(
        0.99,
        change="live",
        gt=0,
        le=1,
        doc="kappa-average: stop at this average agreement. Default .99, as in the paper.",
    )
    max_iterations: int | None = setting(
        None,
        unit="iterations",
        change="live",
        ge=1,
        doc="Stop after so many trainings, whatever the criterion. Default none; max-iterations needs it.",
    )
    stop_set_size: int = setting(
        1000,
        unit="records",
        change="refused",
        ge=10,
        le=100_000,
        doc="Records of the pool, drawn once, on which agreement is measured. Default 1000.",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.criterion == "max-iterations" and self.max_iterations is None:
            raise ValueError("loop.stop.criterion 'max-iterations' needs loop.stop.max_iterations")
        return self


class LoopSpec(Spec):
    """How the loop turns."""

    strategy: Literal["random", "least-confidence", "breaking-ties", "prediction-entropy"] = setting(
        "breaking-ties",
        change="live",
        doc="Query strategy. Default breaking-ties: the strongest of the cheap ones on most text data.",
    )
    batch_size: int = setting(
        20,
        unit="records",
        change="live",
        ge=4,
        le=5000,
        doc="Records sent to annotators together, hold-out included. Default 20: a few minutes of work.",
    )
    open_batches: int = setting(
        1,
        unit="batches",
        change="live",
        ge=1,
        le=20,
        doc="Batches in the annotators' hands at once. Default 1; 2 leaves nobody idle while a model trains.",
    )
    cold_start: Literal["random", "diverse"] = setting(
        "random",
        change="live",
        doc="How records are picked before there is a model. Default random: unbiased and cannot fail.",
    )
    close_fraction: float = setting(
        1.0,
        unit="share of the batch",
        change="live",
        gt=0,
        le=1,
        doc="A batch closes when this share is answered (a discard is an answer). Default all.",
    )
    close_after_hours: float | None = setting(
        None,
        unit="hours",
        change="live",
        gt=0,
        doc="A batch also closes so long after it was sent if any of it is answered; one without an answer stays open, "
        "and status says so. Default never.",
    )
    stop: StopSpec = setting(StopSpec(), change="live", doc="When more labels stop paying.")
    holdout_share: float = setting(
        0.1,
        unit="share of the pool",
        change="refused",
        ge=0.01,
        le=0.5,
        doc="Share of the pool that only ever judges. Default a tenth. Fixed: a reserve that moved would leak.",
    )
    seed: int = setting(
        0,
        change="refused",
        ge=0,
        lt=2**31,
        doc="Every random choice of the task derives from it. Default 0.",
    )


class AnnotationSpec(Spec):
    """What is asked of annotators."""

    min_submitted: int = setting(
        1,
        unit="annotators",
        change="refused",
        ge=1,
        le=20,
        doc="How many annotators answer each record; the majority counts. Default 1.",
    )


class GateSpec(Spec):
    """What a candidate must show before it serves."""

    min_holdout: int = setting(
        50,
        unit="labels",
        change="live",
        ge=10,
        doc="Below so many hold-out labels scores only warn: they say too little. Default 50.",
    )
    significance: float = setting(
        0.05,
        change="live",
        gt=0,
        lt=0.5,
        doc="Level of the one-sided exact McNemar test against `current`. Default 5 %.",
    )
    max_drop: float = setting(
        0.02,
        unit="accuracy",
        change="live",
        ge=0,
        le=1,
        doc="How far below the best of the last promoted versions a candidate may be: small losses must not add up. "
        "Default 2 points.",
    )
    attention_after: int = setting(
        3,
        unit="refusals in a row",
        change="live",
        ge=1,
        doc="The status asks for attention after so many. Default 3.",
    )
    replica_deadline_s: float = setting(
        120.0,
        unit="seconds",
        change="live",
        gt=0,
        doc="How long replicas may take to load a candidate before those that are ready go on without the rest. "
        "Default two minutes.",
    )


class TaskSpec(Spec):
    """One classification problem."""

    workspace: Name = setting(doc="Whose task it is: an Argilla workspace and a storage prefix.", change="refused")
    name: Name = setting(doc="The task's name in its workspace.", change="refused")
    labels: tuple[Annotated[LabelSpec, BeforeValidator(_label)], ...] = setting(
        doc="The labels in their fixed order.",
        change="new generation",
        min_length=2,
        max_length=1000,
    )
    multi_label: bool = setting(
        False, doc="Whether a text may have several labels, or none. Default one each.", change="new generation"
    )
    guidelines: str = setting("", doc="Shown to annotators, Markdown.", change="live", max_length=50_000)
    classifier: ClassifierSpec = setting(
        ClassifierSpec(), doc="The model that is trained and served.", change="next iteration"
    )
    training: TrainingSpec = setting(TrainingSpec(), doc="How the classifier is learned.", change="next iteration")
    teacher: TeacherSpec = setting(TeacherSpec(), doc="Suggestions before any label.", change="live")
    loop: LoopSpec = setting(LoopSpec(), doc="How the loop turns.", change="live")
    annotation: AnnotationSpec = setting(AnnotationSpec(), doc="What is asked of annotators.", change="live")
    gates: GateSpec = setting(GateSpec(), doc="What a candidate must show.", change="live")

    @model_validator(mode="after")
    def _check(self) -> Self:
        names = self.label_names
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"labels {twice} are given twice")
        return self

    @property
    def full_name(self) -> str:
        return f"{self.workspace}/{self.name}"

    @property
    def label_names(self) -> tuple[str, ...]:
        return tuple(label.name for label in self.labels)
