"""What a demo run saw, and the figures that follow from it. Pure; scikit-learn and SciPy do the arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from scipy.stats import binomtest
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from tornio.api import TaskStatus


@dataclass(frozen=True, slots=True)
class Point:
    """A version that served, measured once on the test split.

    ``labels``: what annotators had answered by then, hold-out included. ``signal``: of the stopping criterion.
    ``swap_s``: seconds from the gate's word until `current` moved.
    """

    version: str
    iteration: int
    labels: int
    accuracy: float
    signal: float | None = None
    swap_s: float | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What the last version says of a test message, and what is true. ``margin``: first minus second probability."""

    text: str
    label: str
    said: str
    confidence: float
    margin: float

    @property
    def right(self) -> bool:
        return self.said == self.label


@dataclass(frozen=True, slots=True)
class Load:
    """The stream of predictions: how many, what failed, and the seconds that each answer took."""

    sent: int
    failed: tuple[str, ...] = ()
    seconds: tuple[float, ...] = ()

    @property
    def median_s(self) -> float | None:
        return median(self.seconds) if self.seconds else None


@dataclass(frozen=True, slots=True)
class Story:
    """One run of the demo. ``zero_shot``: test accuracy of the teacher, before any label was given."""

    status: TaskStatus
    points: Sequence[Point]
    random: Sequence[Point]
    answers: Sequence[Answer]
    load: Load
    strategy: str = "breaking-ties"
    zero_shot: float | None = None
    annotator_errors: float = 0.0
    """Share of the simulated annotator's answers that are wrong on purpose."""
    seconds: float = 0.0

    @property
    def labels(self) -> int:
        """Labels that people gave in all, hold-out included."""
        return self.points[-1].labels if self.points else 0

    @property
    def accuracy(self) -> float:
        return sum(answer.right for answer in self.answers) / len(self.answers) if self.answers else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval of the accuracy on the test split."""
        if not self.answers:
            return (0.0, 1.0)
        found = binomtest(sum(answer.right for answer in self.answers), len(self.answers)).proportion_ci(
            method="wilson"
        )
        return (float(found.low), float(found.high))

    @property
    def swap_median_s(self) -> float | None:
        known = [swap.seconds for swap in self.status.swaps if swap.seconds is not None]
        return median(known) if known else None


@dataclass(frozen=True, slots=True)
class ClassFigures:
    label: str
    precision: float
    recall: float
    f1: float
    support: int


def per_class(story: Story) -> list[ClassFigures]:
    """Precision, recall, F1 and support of each label on the test split; 0 where the denominator is 0."""
    columns = precision_recall_fscore_support(
        [answer.label for answer in story.answers],
        [answer.said for answer in story.answers],
        labels=story.status.labels,
        zero_division=0.0,
    )
    return [
        ClassFigures(label, float(p), float(r), float(f), int(n))
        for label, p, r, f, n in zip(story.status.labels, *columns, strict=True)
    ]


def confusion(story: Story) -> list[list[int]]:
    """Rows what is true, columns what was answered, in the order of the task's labels."""
    true, said = [answer.label for answer in story.answers], [answer.said for answer in story.answers]
    matrix = confusion_matrix(true, said, labels=story.status.labels)
    return [[int(count) for count in row] for row in matrix]


def surest_errors(story: Story, count: int = 8) -> list[Answer]:
    """Test messages answered wrongly, the most confident first."""
    wrong = [answer for answer in story.answers if not answer.right]
    return sorted(wrong, key=lambda answer: -answer.confidence)[:count]


def closest_calls(story: Story, count: int = 8) -> list[Answer]:
    """Test messages whose first two labels were nearly equal, the closest first."""
    return sorted(story.answers, key=lambda answer: answer.margin)[:count]
