"""The measurements of a demo run, and metrics derived from them. Pure; computed with scikit-learn and SciPy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from tornio.api import TaskStatus
from tornio.evaluation.interval import wilson_interval


@dataclass(frozen=True, slots=True)
class Point:
    """A served version, measured once on the test split.

    ``iteration``: 0 for a version that the teacher taught before anybody had labelled. ``labels``: number of answers by
    annotators until then, including hold-out. ``right``: for each test message, whether its class is right.
    ``signal``: that of the stopping criterion. ``swap_s``: seconds from the gate's decision until `current` moved.
    """

    version: str
    iteration: int
    labels: int
    right: tuple[bool, ...]
    signal: float | None = None
    swap_s: float | None = None

    @property
    def accuracy(self) -> float:
        return sum(self.right) / len(self.right)

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval of the accuracy."""
        return wilson_interval(sum(self.right), len(self.right))


@dataclass(frozen=True, slots=True)
class Answer:
    """The last version's prediction for a test message, and the truth. ``margin``: first minus second probability."""

    text: str
    label: str
    predicted: str
    confidence: float
    margin: float

    @property
    def right(self) -> bool:
        return self.predicted == self.label


@dataclass(frozen=True, slots=True)
class Load:
    """The stream of predictions: their number, failures, and the seconds that each took."""

    sent: int
    failed: tuple[str, ...] = ()
    seconds: tuple[float, ...] = ()

    @property
    def median_s(self) -> float | None:
        return median(self.seconds) if self.seconds else None


@dataclass(frozen=True, slots=True)
class Story:
    """One run of the demo: the watched task, and the random one beside it.

    ``zero_shot``: test accuracy of the teacher itself. ``first_s``: seconds from adding the messages until the first
    version served.
    """

    status: TaskStatus
    points: Sequence[Point]
    random: Sequence[Point]
    answers: Sequence[Answer]
    load: Load
    strategy: str = "breaking-ties"
    zero_shot: float | None = None
    first_s: float | None = None
    annotator_errors: float = 0.0
    """Share of the simulated annotator's answers that are wrong on purpose."""
    seconds: float = 0.0

    @property
    def labels(self) -> int:
        """Number of labels that the annotator gave, including hold-out."""
        return self.points[-1].labels if self.points else 0

    @property
    def taught(self) -> Point | None:
        """The version that served before anybody had labelled."""
        return next((point for point in self.points if not point.iteration), None)

    @property
    def accuracy(self) -> float:
        return sum(answer.right for answer in self.answers) / len(self.answers) if self.answers else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval of the accuracy on the test split."""
        return wilson_interval(sum(answer.right for answer in self.answers), len(self.answers))

    @property
    def swap_median_s(self) -> float | None:
        durations = [swap.seconds for swap in self.status.swaps if swap.seconds is not None]
        return median(durations) if durations else None


@dataclass(frozen=True, slots=True)
class ClassFigures:
    label: str
    precision: float
    recall: float
    f1: float
    support: int


def per_class(story: Story) -> list[ClassFigures]:
    """Return precision, recall, F1 and support of each label on the test split; 0 if the denominator is 0."""
    columns = precision_recall_fscore_support(
        [answer.label for answer in story.answers],
        [answer.predicted for answer in story.answers],
        labels=story.status.labels,
        zero_division=0.0,
    )
    return [
        ClassFigures(label, float(p), float(r), float(f), int(n))
        for label, p, r, f, n in zip(story.status.labels, *columns, strict=True)
    ]


def confusion(story: Story) -> list[list[int]]:
    """Return the confusion matrix: rows are true labels, columns are predicted ones, in the task's order."""
    true, predicted = [answer.label for answer in story.answers], [answer.predicted for answer in story.answers]
    matrix = confusion_matrix(true, predicted, labels=story.status.labels)
    return [[int(count) for count in row] for row in matrix]


def surest_errors(story: Story, count: int = 8) -> list[Answer]:
    """Return the wrongly classified test messages, most confident first."""
    wrong = [answer for answer in story.answers if not answer.right]
    return sorted(wrong, key=lambda answer: -answer.confidence)[:count]


def closest_calls(story: Story, count: int = 8) -> list[Answer]:
    """Return the test messages whose two most probable labels are nearly equal, the closest first."""
    return sorted(story.answers, key=lambda answer: answer.margin)[:count]
