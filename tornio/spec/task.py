"""A whole spec: one classification problem."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import BeforeValidator, model_validator

from tornio.spec.auto_label import AutoLabelSpec
from tornio.spec.base import LABEL_PATTERN, Choice, Name, Spec, setting
from tornio.spec.classifier import NO_TEACHER, ClassifierSpec, TeacherSpec, TrainingSpec
from tornio.spec.feedback import FeedbackSpec
from tornio.spec.gates import GateSpec
from tornio.spec.loop import BOOTSTRAPS, NO_BOOTSTRAP, LoopSpec

MAJORITY, CROWDLAB = "majority", "crowdlab"
CONSENSUS = (MAJORITY, CROWDLAB)
"""Choices of ``annotation.consensus``."""


class LabelSpec(Spec):
    """One label. In task.yaml a plain string is a label with this name."""

    name: str = setting(
        doc="The label's name, which annotators click and predictions contain; at most 200 characters.",
        change="new generation",
        min_length=1,
        max_length=200,
        pattern=LABEL_PATTERN,
    )
    description: str | None = setting(
        None,
        doc="One sentence for the teacher and for annotators. Default none: only the name is used.",
        change="live",
        max_length=2000,
    )
    renamed_from: str | None = setting(
        None,
        doc="The label of the task that gets this name. Its answers stay. Only for a change of the labels of a task "
        "that exists; it may stay in the file afterwards. Default none.",
        change="new generation",
        max_length=200,
        exclude_if=lambda name: name is None,
    )
    merged_from: tuple[str, ...] = setting(
        (),
        doc="The labels of the task that become this one. Their answers stay. It may contain the label itself. Only "
        "for a change of the labels of a task that exists; it may stay in the file afterwards. Default none.",
        change="new generation",
        max_length=1000,
        exclude_if=lambda names: not names,
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.renamed_from is not None and self.merged_from:
            raise ValueError(f"the label {self.name!r} has both renamed_from and merged_from: give one of them")
        return self

    @property
    def sources(self) -> tuple[str, ...]:
        """The labels that become this one, where the labels of a task change."""
        return self.merged_from if self.renamed_from is None else (self.renamed_from,)


def _label(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


class AnnotationSpec(Spec):
    """What annotators are asked to do."""

    min_submitted: int = setting(
        1,
        unit="annotators",
        change="refused",
        ge=1,
        le=20,
        doc="How many annotators answer each record; the majority decides. Default 1.",
    )
    overlap: float = setting(
        0.0,
        exclude_if=lambda overlap: overlap == 0,  # release 0.2 does not know the field
        unit="share of the records",
        change="live",
        ge=0,
        le=1,
        doc="Share of the records that one annotator more than min_submitted answers, so that agreement can be "
        "measured without paying twice for everything. Default none.",
    )
    consensus: Choice = setting(
        MAJORITY,
        exclude_if=lambda consensus: consensus == MAJORITY,  # release 0.2 does not know the field
        change="next iteration",
        doc="Whose word a training takes where annotators answered. majority: the label with the most answers. "
        "crowdlab: annotators and a cross-validated classifier together, each weighted by how often it is right, as "
        "soon as 100 texts have several answers; it needs one label per text. Hold-out labels are always by majority. "
        "Default majority.",
    )

    @property
    def by_crowdlab(self) -> bool:
        """Whether CROWDLAB decides on training labels, where there are enough answers for it."""
        return self.consensus == CROWDLAB


class TaskSpec(Spec):
    """One classification problem."""

    workspace: Name = setting(
        doc="The workspace that the task belongs to: an Argilla workspace and a prefix in the bucket.", change="refused"
    )
    name: Name = setting(doc="The task's name in its workspace.", change="refused")
    labels: tuple[Annotated[LabelSpec, BeforeValidator(_label)], ...] = setting(
        doc="The labels, in their fixed order.",
        change="new generation",
        min_length=2,
        max_length=1000,
    )
    multi_label: bool = setting(
        False,
        doc="Whether a text may have several labels, or none. Default: exactly one label per text.",
        change="refused",
    )
    guidelines: str = setting(
        "",
        doc="Guidelines for annotators, in Markdown. HTML tags in it are shown as text.",
        change="live",
        max_length=50_000,
    )
    classifier: ClassifierSpec = setting(
        ClassifierSpec(), doc="The model that is trained and deployed.", change="next iteration"
    )
    training: TrainingSpec = setting(
        TrainingSpec(),
        doc="How the classifier is learned.",
        change="next iteration",
        exclude_if=lambda training: training == TrainingSpec(),  # release 0.1 does not know the section
    )
    teacher: TeacherSpec = setting(
        TeacherSpec(), doc="The zero-shot model that suggests labels before the first version.", change="live"
    )
    loop: LoopSpec = setting(
        LoopSpec(), doc="How records are picked, batches are closed, and the loop stops.", change="live"
    )
    annotation: AnnotationSpec = setting(AnnotationSpec(), doc="What annotators are asked to do.", change="live")
    gates: GateSpec = setting(GateSpec(), doc="What a candidate must achieve before it is deployed.", change="live")
    auto_label: AutoLabelSpec = setting(
        AutoLabelSpec(),
        doc="Labels that the serving version gives to confident texts of the pool. Default none.",
        change="live",
        exclude_if=lambda auto_label: auto_label == AutoLabelSpec(),  # release 0.2 does not know the section
    )
    feedback: FeedbackSpec | None = setting(
        None,
        doc="Let sampled live texts, those that users send for a prediction, come into the pool, such as "
        "{share: 0.01}. Default none: no text is kept.",
        change="live",
        exclude_if=lambda feedback: feedback is None,  # release 0.2 does not know the section
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        names = self.label_names
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"the labels {twice} are given twice")
        return self

    @property
    def full_name(self) -> str:
        return f"{self.workspace}/{self.name}"

    def without_lineage(self) -> TaskSpec:
        """Return the spec without ``renamed_from`` and ``merged_from``, which say how it came to be."""
        labels = tuple(label.model_copy(update={"renamed_from": None, "merged_from": ()}) for label in self.labels)
        return self.model_copy(update={"labels": labels})

    @property
    def teachable(self) -> bool:
        """Whether a teacher's labels can make a version: there is a teacher, and each text has one label."""
        return self.teacher.kind != NO_TEACHER and not self.multi_label

    @property
    def labels_automatically(self) -> bool:
        """Whether versions give labels: the task wants it, and each text has one label."""
        return self.auto_label.on and not self.multi_label

    @property
    def bootstrap_method(self) -> str | None:
        """The training method that makes a version before anybody has labelled; None for no such version."""
        return BOOTSTRAPS.get(self.loop.bootstrap or NO_BOOTSTRAP) if self.teachable else None

    @property
    def label_names(self) -> tuple[str, ...]:
        return tuple(label.name for label in self.labels)
