"""What a user configures: ``task.yaml`` as frozen models.

Each field documents its unit, its default and why, and what happens when it changes on a living task:

- ``live``: takes effect at the controller's next look;
- ``next iteration``: takes effect when the next batch closes;
- ``new generation``: starts a new generation of the task, see docs/changing-labels.md;
- ``refused``: cannot change; make a new task instead.
"""

from tornio.spec.auto_label import AutoLabelSpec
from tornio.spec.base import NAME_PATTERN, Change, Choice, Name, NoSettings, Spec, setting
from tornio.spec.classifier import (
    AUTO_THRESHOLD,
    NO_TEACHER,
    ClassifierSpec,
    FineTuningSpec,
    MemberSpec,
    TeacherSpec,
    TrainingSpec,
)
from tornio.spec.feedback import FeedbackSpec
from tornio.spec.gates import CanarySpec, GateSpec
from tornio.spec.loop import LoopSpec, StopSpec
from tornio.spec.task import AnnotationSpec, LabelSpec, TaskSpec

__all__ = [
    "AUTO_THRESHOLD",
    "NAME_PATTERN",
    "NO_TEACHER",
    "AnnotationSpec",
    "AutoLabelSpec",
    "CanarySpec",
    "Change",
    "Choice",
    "ClassifierSpec",
    "FeedbackSpec",
    "FineTuningSpec",
    "GateSpec",
    "LabelSpec",
    "LoopSpec",
    "MemberSpec",
    "Name",
    "NoSettings",
    "Spec",
    "StopSpec",
    "TaskSpec",
    "TeacherSpec",
    "TrainingSpec",
    "setting",
]
