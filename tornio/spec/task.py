"""A whole spec: one classification problem."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import BeforeValidator, model_validator

from tornio.spec.base import Name, Spec, setting
from tornio.spec.classifier import ClassifierSpec, TeacherSpec
from tornio.spec.loop import LoopSpec


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
