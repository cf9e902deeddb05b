"""What a training method is. Light: a controller imports this module to learn what a training costs.

A method decides how a version is learned; a model kind (``tornio.models.kinds``) is how it is stored and loaded. A
package adds a method with an entry point of the group ``tornio.training_methods``: see ``docs/how-to``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Generic, Protocol, TypeVar

from tornio.arrays import FloatMatrix
from tornio.models.kinds import kind_for
from tornio.models.port import Model
from tornio.plugins import read_settings
from tornio.spec import ClassifierSpec, Spec, TaskSpec
from tornio.training.augmenting.port import Desk
from tornio.training.hooks import Hooks
from tornio.training.targets import Labelled, check_sufficient, decided

if TYPE_CHECKING:
    from tornio.models.device import Precision
    from tornio.models.head import LinearHead
    from tornio.models.port import ReadingEncoder
    from tornio.schemas.registry import EncoderUse
    from tornio.training.group import Group

S = TypeVar("S", bound=Spec)
S_co = TypeVar("S_co", bound=Spec, covariant=True)


@dataclass(frozen=True, slots=True)
class Unlabelled:
    """Records of the pool that are neither held out, nor labelled for training, nor deleted, in the pool's order."""

    record_ids: tuple[str, ...]
    texts: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.record_ids)


class Facts(Protocol):
    """Numbers about a training's task, for its cost. Each is counted when it is first used.

    ``pool``: records of the pool. ``not_embedded``: those without a cached embedding. ``labels``: records that have a
    label.
    """

    @property
    def spec(self) -> TaskSpec: ...

    @property
    def pool(self) -> int: ...

    @property
    def not_embedded(self) -> int: ...

    @property
    def labels(self) -> int: ...


class TrainedModel(Model, Protocol):
    """What ``fit`` returns: a ``FewShotModel``, a ``FineTunedModel``, or another model that is published alike."""

    chosen: tuple[str, str] | None
    """The version's kind, and why, where the training itself decided; None: as ``choose_kind`` said before."""

    @property
    def use(self) -> EncoderUse:
        """How the model uses its encoder."""

    @property
    def head(self) -> LinearHead:
        """The linear head. Its ``metrics`` become those of the version."""


class FrozenBase(Protocol):
    """A frozen base encoder in one use of it, and its embeddings of the pool."""

    @property
    def use(self) -> EncoderUse:
        """How the encoder is used."""

    @property
    def encoder(self) -> ReadingEncoder:
        """The frozen encoder."""

    def embeddings(self, record_ids: Sequence[str]) -> FloatMatrix:
        """Return float32 [n, dim]: the encoder's embeddings of these records of the pool.

        The first call embeds the records of the pool that have no cached embedding of this use.
        """


class Inputs(Protocol[S_co]):
    """What a training may use. Each part is read or computed when it is first used, then kept.

    The same training has the same inputs on every worker and in every attempt.
    """

    @property
    def settings(self) -> S_co:
        """The method's own settings, checked."""

    @property
    def classifier(self) -> ClassifierSpec: ...

    @property
    def label_names(self) -> tuple[str, ...]: ...

    @property
    def multi_label(self) -> bool: ...

    @property
    def seed(self) -> int: ...

    @property
    def precision(self) -> Precision:
        """What the encoder computes in on this machine."""

    @property
    def labelled(self) -> Labelled:
        """The training labels, sorted by record_id. They never include held-out records."""

    @property
    def unlabelled(self) -> Unlabelled:
        """The rest of the pool."""

    @property
    def use(self) -> EncoderUse:
        """How the task uses its base encoder."""

    @property
    def encoder(self) -> ReadingEncoder:
        """The frozen base encoder."""

    @property
    def base(self) -> Path:
        """Folder with the base encoder's files, which must not be changed."""

    def embeddings(self, record_ids: Sequence[str]) -> FloatMatrix:
        """Return float32 [n, dim]: the base encoder's embeddings of these records of the pool.

        The first call embeds the records of the pool that have no cached embedding.
        """

    @property
    def layered(self) -> FrozenBase:
        """The same base encoder with its last layers side by side: what the kind layered-few-shot learns from."""

    def soft_labels(self, record_ids: Sequence[str]) -> FloatMatrix:
        """Return float32 [n, labels]: the teacher's probabilities for these records of the pool.

        They are read from the store. The first call computes and stores those of the pool that are not there yet.
        Raises InvalidInput where the spec has no teacher.
        """

    def desk(self, group: Group) -> Desk:
        """Return what augmentations need that write texts before the training, which this group of workers shares."""


def check_labels(inputs: Inputs[Spec]) -> None:
    """Raise InvalidInput where the training labels do not suffice to learn from."""
    Y = decided(inputs.labelled.targets, inputs.multi_label)
    check_sufficient(Y, inputs.label_names, inputs.multi_label)


class TrainingMethod(ABC, Generic[S]):
    """How a version is learned. An entry of ``METHODS`` is an instance.

    ``name``: what ``training.method`` of a spec says. ``settings``: model of ``training.settings``. ``kinds``: the
    model kinds that the method makes. ``asks_teacher``: whether ``fit`` reads ``soft_labels``, so that a comparison
    asks the teacher once, before its workers begin. ``reads_pool``: whether ``fit`` may read ``unlabelled``, so that a
    version may have learned from every text of the pool, which a purge says. A module with a method imports torch
    inside ``fit`` only.
    """

    name: ClassVar[str]
    settings: type[S]
    kinds: ClassVar[tuple[str, ...]]
    asks_teacher: ClassVar[bool] = False
    reads_pool: ClassVar[bool] = True

    @abstractmethod
    def cost(self, facts: Facts) -> float:
        """Return about how many texts a training passes through the model once, a step counting threefold.

        A run of more texts than TORNIO_JOB_LARGE_TEXTS becomes a job of its own.
        """

    @abstractmethod
    def fit(self, inputs: Inputs[S], out: Path, hooks: Hooks) -> TrainedModel | None:
        """Train, write the model's files into ``out``, which is an empty folder, and return the model.

        Called by every worker of a training that spreads: all but the first return None. Raises InvalidInput where no
        training on these inputs can succeed.
        """

    def choose_kind(self, inputs: Inputs[S]) -> tuple[str, str]:
        """Return the kind of the version that ``fit`` makes, and why, where the spec leaves it open; else ''.

        By default the kind that ``classifier.kind`` asks for, or else the first of ``kinds``.
        """
        return kind_for(inputs.classifier.kind, self.kinds) or self.kinds[0], ""

    def spreads(self, inputs: Inputs[S]) -> bool:
        """Return whether TORNIO_TRAIN_WORKERS workers share this training. By default they do not.

        Called in the run's own process, before workers start. Raises InvalidInput where no training can succeed, so
        that no worker is started in vain.
        """
        return False

    def settings_of(self, spec: TaskSpec) -> S:
        """Return ``training.settings`` of a spec, checked. Raises InvalidSpec."""
        return read_settings(self.settings, spec.training.settings, "training.settings")
