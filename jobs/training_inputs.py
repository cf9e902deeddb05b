"""What a training method of a run learns from, read from the task when it is first used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Generic

from jobs.context import RunContext
from jobs.soft_labels import SoftLabels
from tornio.arrays import FloatMatrix
from tornio.models.device import Precision
from tornio.models.port import ReadingEncoder
from tornio.pool.view import PoolView
from tornio.pool.written_views import WrittenViews
from tornio.schemas.jobs import TrainArgs
from tornio.schemas.registry import EncoderUse
from tornio.scoring.consensus import agreed
from tornio.seeds import derive_seed
from tornio.spec import ClassifierSpec, TaskSpec
from tornio.tasks import TrainingSet, training_set, unlabelled_rows
from tornio.tasks.answers import select_answered
from tornio.tasks.encoder import translator_of
from tornio.training.augmenting.port import Variants
from tornio.training.methods.port import S, Unlabelled
from tornio.training.targets import Labelled

if TYPE_CHECKING:
    from tornio.training.group import Group


@dataclass(frozen=True)
class PoolBase:
    """The ``FrozenBase`` of a run's task, in one use of the encoder."""

    pool_seq: int
    context: RunContext
    use: EncoderUse

    @property
    def encoder(self) -> ReadingEncoder:
        return self.context.job.loader.encoder(self.use)

    def embeddings(self, record_ids: Sequence[str]) -> FloatMatrix:
        rows = self.context.task.pool.read(self.pool_seq).rows_of(record_ids)
        return self.context.pool_rows(self.use, self.pool_seq, rows)


@dataclass(frozen=True)
class RunDesk:
    """The ``Desk`` of a run's training: what is written is stored beside the task's pool."""

    context: RunContext
    group: Group

    @property
    def precision(self) -> Precision:
        return self.context.job.loader.precision

    def translator(self, name: str) -> tuple[Path, str]:
        document = translator_of(self.context.task, name, self.context.job.loader)
        return self.context.job.cache.folder(document.files), document.digest

    def read(self, purpose: str) -> dict[str, tuple[str, ...]]:
        return self._views(purpose).read()

    def keep(self, purpose: str, variants: Variants) -> None:
        self._views(purpose).keep(variants)

    def progress(self, done: int, total: int) -> None:
        if self.group.rank == 0:
            self.context.progress("writing views", done, total, "texts")

    def _views(self, purpose: str) -> WrittenViews:
        return WrittenViews(self.context.job.store, self.context.task.keys, purpose)


class RunInputs(Generic[S]):
    """The ``Inputs`` of a training run. A pure function of the run's arguments and of what they name."""

    def __init__(self, args: TrainArgs, context: RunContext, spec: TaskSpec, settings: S) -> None:
        self._args = args
        self._context = context
        self.spec = spec
        self.settings = settings
        self._taught: SoftLabels | None = None
        self.seed = derive_seed(spec.full_name, args.generation, args.iteration, spec.loop.seed)

    @property
    def classifier(self) -> ClassifierSpec:
        return self.spec.classifier

    @property
    def label_names(self) -> tuple[str, ...]:
        return self.spec.label_names

    @property
    def multi_label(self) -> bool:
        return self.spec.multi_label

    @property
    def precision(self) -> Precision:
        return self._context.job.loader.precision

    @cached_property
    def training_set(self) -> TrainingSet:
        """What is learned from, with the labels that ``annotation.consensus`` asks for."""
        return self._agreed[0]

    @property
    def consensus(self) -> Mapping[str, int]:
        """What CROWDLAB did to the training labels; empty where majority decides. See ``agreed``."""
        return self._agreed[1]

    @cached_property
    def _agreed(self) -> tuple[TrainingSet, dict[str, int]]:
        task, spec, args = self._context.task, self.spec, self._args
        data = training_set(task, args.label_seq, args.pool_seq, spec, args.spec_rev)
        if not spec.annotation.by_crowdlab:
            return data, {}
        events = task.label_view(args.label_seq, args.spec_rev).events
        answered = select_answered(self._view, events, spec, task.document.holdout_key)
        return agreed(data, answered, self.layered.embeddings, self.label_names, self.seed)

    @cached_property
    def labelled(self) -> Labelled:
        data = self.training_set
        return Labelled.of(data.texts, data.labels, self.label_names, self.multi_label, data.record_ids)

    @cached_property
    def unlabelled(self) -> Unlabelled:
        task, view = self._context.task, self._view
        events = task.label_view(self._args.label_seq, self._args.spec_rev).events
        rows = unlabelled_rows(view, events, self.spec, task.document.holdout_key)
        if self.consensus:  # texts that only CROWDLAB labels
            learned = set(self.training_set.record_ids)
            rows = [row for row in rows if view.record_ids[row] not in learned]
        return Unlabelled(tuple(view.record_ids[row] for row in rows), tuple(view.texts[row] for row in rows))

    @cached_property
    def use(self) -> EncoderUse:
        return self._context.encoder_use(self.classifier)

    @property
    def encoder(self) -> ReadingEncoder:
        return self._frozen(self.use).encoder

    @cached_property
    def base(self) -> Path:
        return self._context.job.loader.base_folder(self.use)

    def embeddings(self, record_ids: Sequence[str]) -> FloatMatrix:
        return self._frozen(self.use).embeddings(record_ids)

    @cached_property
    def layered(self) -> PoolBase:
        return self._frozen(self._context.job.loader.layered(self.use))

    def _frozen(self, use: EncoderUse) -> PoolBase:
        return PoolBase(self._args.pool_seq, self._context, use)

    def soft_labels(self, record_ids: Sequence[str]) -> FloatMatrix:
        labels = self._context.soft_labels(self.spec, self._args.pool_seq) if self._taught is None else self._taught
        self._taught = labels
        return labels.probabilities[self._view.rows_of(record_ids)]

    def desk(self, group: Group) -> RunDesk:
        return RunDesk(self._context, group)

    @property
    def tally(self) -> Mapping[str, float]:
        """What a chat model was asked for soft labels; empty if none was."""
        return {} if self._taught is None else self._taught.tally

    @property
    def taught_by(self) -> str | None:
        """Name of the teacher whose soft labels were read; None if none were."""
        return None if self._taught is None else self._taught.agent

    @property
    def _view(self) -> PoolView:
        return self._context.task.pool.read(self._args.pool_seq)
