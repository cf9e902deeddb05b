"""The sections of a spec about models: the classifier and the zero-shot teacher."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, field_validator, model_validator

from tornio.spec.base import Choice, Name, Spec, setting

NO_TEACHER = "none"
"""The value of ``teacher.kind`` of a task without a teacher."""
AUTO_THRESHOLD: Final = "auto"
"""The value of ``classifier.threshold`` that leaves the thresholds to the training."""
LLM = "llm"
"""The value of ``teacher.kind`` of a teacher behind an endpoint."""
COMBINED = "combined"
"""The value of ``teacher.kind`` of several teachers together."""
MEMBER_COSTS = {"embedding": 1, "nli": 1, LLM: 40}
"""The kinds of single teachers, and about how many passes of an encoder a text costs. For llm: eight requests at a
time that take a second each, against 300 texts a second of MiniLM on one processor. So a run that asks about more than
some hundred texts is a job of its own, and the other tasks do not wait for it in the warm worker."""


class FineTuningSpec(Spec):
    """How a fine-tuned model is trained."""

    epochs: int = setting(
        15,
        unit="passes over the labels",
        change="next iteration",
        ge=1,
        le=1000,
        doc="How many times the training passes over the labels. With early stopping this is the most. Default "
        "15: with 260 labels of TREC, 5 do as well, and with fewer labels a pass has fewer steps.",
    )
    batch_size: int = setting(
        16,
        unit="examples",
        change="next iteration",
        ge=1,
        le=4096,
        doc="Examples of one step, over all workers together. They are shared out in pieces of 16, so use a "
        "multiple of 16 for each worker. Default 16.",
    )
    learning_rate: float = setting(
        1e-4,
        change="next iteration",
        gt=0,
        le=1,
        doc="Highest learning rate of the encoder. Default 1e-4, which suits MiniLM: half of it does as well, "
        "twice as much a little worse. Larger encoders want less: 2e-5 for BERT-base.",
    )
    head_learning_rate: float = setting(
        1e-3,
        change="next iteration",
        gt=0,
        le=1,
        doc="Highest learning rate of the head. Default 1e-3: a tenth of it does no better.",
    )
    warmup: float = setting(
        0.1,
        unit="share of the steps",
        change="next iteration",
        ge=0,
        le=1,
        doc="Share of the steps in which the learning rate rises linearly from 0; afterwards it falls linearly to "
        "0. Default a tenth, as in the papers.",
    )
    weight_decay: float = setting(
        0.01,
        change="next iteration",
        ge=0,
        le=1,
        doc="Weight decay of AdamW. It applies to matrices, not to embeddings, biases and norms. Default .01, as "
        "in the papers.",
    )
    max_gradient_norm: float = setting(
        1.0,
        change="next iteration",
        gt=0,
        doc="Gradients with a larger norm are scaled down to this one. Default 1, as in the papers.",
    )
    class_weights: Literal["balanced", "none"] = setting(
        "none",
        change="next iteration",
        doc="balanced: every class has the same weight, however many examples it has; with several labels "
        "allowed, every example has the same weight in any case. none: every example has the same weight. "
        "Default none: on TREC balancing costs half a point.",
    )
    head_start: Literal["logistic-regression", "random"] = setting(
        "logistic-regression",
        change="next iteration",
        doc="How the head starts. logistic-regression: as the few-shot head on the frozen encoder. random: with "
        "random weights. Default logistic-regression because it learns more from few labels (TREC, 40 labels: "
        ".78 against .70), and no less from many.",
    )
    validation_from: int = setting(
        1000,
        unit="labelled texts",
        change="next iteration",
        ge=20,
        doc="With this many labelled texts or more, a share of them is left out of the training and decides when "
        "to stop. Default 1000: with fewer, training on all of them is worth more.",
    )
    validation_share: float = setting(
        0.1,
        unit="share of the labelled texts",
        change="next iteration",
        gt=0,
        le=0.5,
        doc="Share of the labelled texts that is left out to decide when to stop. Default a tenth.",
    )
    patience: int = setting(
        3,
        unit="passes over the labels",
        change="next iteration",
        ge=1,
        le=1000,
        doc="Stop after this many passes without a better validation score, and keep the best weights. Default 3.",
    )


class ClassifierSpec(Spec):
    """The model that is trained and deployed."""

    kind: Choice = setting(
        "few-shot",
        change="next iteration",
        doc="few-shot: a regularised logistic regression on the last layers of a frozen encoder. fine-tuned: an "
        "encoder that is trained together with its head. auto: few-shot with fewer than fine_tuned_from labelled "
        "texts, or fewer than 8 for each label; from then on each training makes both, and the one that is better on "
        "labels that were held out of it is the version. Default few-shot because it trains in a second.",
    )
    encoder: str = setting(
        "minilm",
        change="next iteration",
        doc="Base model: a name that `tornio encoders add` gave it, a hub id, an s3:// address, or the local path "
        "of a transformers folder. 'minilm' is the model that the extra tornio[embedded] ships. Default "
        "minilm because it is small and needs no hub.",
    )
    max_length: int = setting(
        256,
        unit="tokens",
        change="next iteration",
        ge=8,
        le=8192,
        doc="Texts with more tokens are cut, and their predictions say so. Default 256: what all-MiniLM was made for.",
    )
    fine_tuned_from: int = setting(
        100,
        unit="labelled texts",
        change="next iteration",
        ge=2,
        doc="auto: with this many labelled texts or more, fine-tuning is tried. Default 100: with 20 labels "
        "fine-tuned MiniLM is worse than few-shot or equal, with 40 equal (SST-2) or better (TREC), with 100 "
        "clearly better (TREC .87 against .80). It trains for a minute where few-shot takes a second.",
    )
    threshold: Literal["auto"] | Annotated[float, Field(gt=0, lt=1)] = setting(
        AUTO_THRESHOLD,
        exclude_if=lambda threshold: threshold == AUTO_THRESHOLD,  # release 0.2 does not know the field
        change="next iteration",
        doc="With several labels per text: the least probability of a label that a text gets. auto: chosen in the "
        "training, for each label, on texts that the model did not learn from; .5 where there are too few. Default "
        "auto: with .5, most texts get no label while labels are few (GoEmotions, 400 texts: 71 %, with auto 10 %).",
    )
    fine_tuning: FineTuningSpec = setting(
        FineTuningSpec(), change="next iteration", doc="How a fine-tuned model is trained."
    )


class TrainingSpec(Spec):
    """How the classifier is learned."""

    method: Choice = setting(
        "supervised",
        change="next iteration",
        doc="Training method. supervised: learn from the labels alone. distillation: learn from the teacher's labels "
        "of the pool, too. contrastive: tune the encoder by pairs of labelled texts. self-training: a fine-tuned model "
        "labels texts of the pool, and another learns from them. consistency: learn from texts without a label, too, "
        "whose views should get the same one. auto: what is better on labels that were held out, a few-shot head or a "
        "tuned encoder. An installed package may bring others. Default supervised.",
    )
    settings: dict[str, Any] = setting(
        {},
        change="next iteration",
        doc="Settings of the training method, if it has any; its own documentation lists them. Default none: the "
        "settings of supervised are in classifier.fine_tuning.",
    )


class MemberSpec(Spec):
    """One of the teachers that are combined. Its fields mean what they mean in `teacher`."""

    kind: Choice = setting(
        "embedding",
        change="live",
        doc="embedding: similarity of the text to each label's name and description. nli: entailment by a "
        "cross-encoder. llm: a chat model is asked, and texts are sent to its server. Default embedding: it needs no "
        "second model.",
    )
    model: str | None = setting(
        None,
        change="live",
        doc="Hub id, s3:// address or path of the teacher. Default: the classifier's encoder for 'embedding'; "
        "'nli' needs one, and that of 'llm' is named by its endpoint.",
    )
    endpoint: Name | None = setting(
        None,
        exclude_if=lambda endpoint: endpoint is None,  # release 0.2 does not know the field
        change="live",
        doc="llm: name of an endpoint that the operator of the deployment has configured (TORNIO_LLM_ENDPOINTS), with "
        "its address, key, model and budget. Default none.",
    )
    instruction: str = setting(
        "",
        exclude_if=lambda instruction: not instruction,  # release 0.2 does not know the field
        change="live",
        max_length=20_000,
        doc="llm: what the model is told before the labels, such as what the texts are and how to decide doubtful "
        "ones. Default: to choose what a careful annotator would choose.",
    )
    templates: tuple[str, ...] = setting(
        ("{}", "This is about {}.", "The topic is {}."),
        change="live",
        min_length=1,
        max_length=32,
        doc="Sentences with {} in the place of the label (its name, its description). The embeddings of all "
        "sentences are averaged. Default three neutral ones.",
    )

    def __repr__(self) -> str:
        return ":".join(filter(None, (self.kind, self.endpoint or self.model)))

    @property
    def combines(self) -> tuple[MemberSpec, ...]:
        """The teachers that it combines; none, for a single teacher."""
        return ()

    @property
    def singles(self) -> tuple[MemberSpec, ...]:
        """The single teachers: those that it combines, or itself."""
        return self.combines or (self,)

    def base_name(self, classifier: ClassifierSpec) -> str:
        """Return the name of the base model of a teacher that runs here."""
        return self.model or classifier.encoder

    @property
    def endpoints(self) -> tuple[str, ...]:
        """The endpoints that are asked."""
        return tuple(single.endpoint for single in self.singles if single.endpoint is not None)

    @property
    def cost(self) -> float:
        """About how many passes of an encoder a text costs. A kind that this release does not know counts as one."""
        return sum(MEMBER_COSTS.get(single.kind, 1) for single in self.singles if single.kind != NO_TEACHER)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.kind == "nli" and not self.model:
            raise ValueError("teacher.kind 'nli' needs teacher.model: the hub id or path of an NLI cross-encoder")
        if self.kind == LLM and (self.endpoint is None or self.model):
            raise ValueError(
                "teacher.kind 'llm' needs teacher.endpoint, the name of an endpoint that the operator has configured, "
                "and no teacher.model: the endpoint has one"
            )
        if self.endpoint is not None and self.kind != LLM:
            raise ValueError(f"teacher.endpoint needs teacher.kind 'llm', and it is {self.kind!r}")
        if self.instruction and self.kind != LLM:
            raise ValueError(f"teacher.instruction needs teacher.kind 'llm', and it is {self.kind!r}")
        for template in self.templates:
            if template.count("{}") != 1:
                raise ValueError(f"template {template!r} must contain {{}} exactly once, where the label goes")
        return self


class TeacherSpec(MemberSpec):
    """The zero-shot model that suggests labels before the first version."""

    kind: Choice = setting(
        "embedding",
        change="live",
        doc="embedding: similarity of the text to each label's name and description. nli: entailment by a "
        "cross-encoder. llm: a chat model is asked, and texts are sent to its server. combined: several of these, "
        "which members lists. none: no suggestions until the first version. Default embedding: it needs no second "
        "model.",
    )
    members: tuple[MemberSpec, ...] = setting(
        (),
        exclude_if=lambda members: not members,  # release 0.2 does not know the field
        change="live",
        max_length=8,
        doc="combined: the teachers, 2 to 8, each with a kind and fields of its own. The labels are the mean of what "
        "they say. Default none.",
    )

    @property
    def combines(self) -> tuple[MemberSpec, ...]:
        return self.members

    @field_validator("members", mode="before")
    @classmethod
    def _check_depth(cls, value: Any) -> Any:
        for member in value if isinstance(value, list | tuple) else ():
            if isinstance(member, Mapping) and (member.get("kind") == COMBINED or "members" in member):
                raise ValueError("teacher.members has a teacher that is itself combined: list its members here instead")
        return value

    @model_validator(mode="after")
    def _check_members(self) -> Self:
        if self.kind != COMBINED:
            if self.members:
                raise ValueError(f"teacher.members needs teacher.kind {COMBINED!r}, and it is {self.kind!r}")
            return self
        if len(self.members) < 2:
            raise ValueError(
                f"teacher.kind {COMBINED!r} needs at least two teacher.members, and there "
                f"{'is one' if self.members else 'are none'}"
            )
        if self.model or self.templates != type(self).model_fields["templates"].default:
            raise ValueError(
                f"teacher.kind {COMBINED!r} has neither teacher.model nor teacher.templates: each of its members may "
                "have its own"
            )
        return self
