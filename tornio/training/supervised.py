"""Fine-tune an encoder together with its head: plain PyTorch, with one worker or several."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from tornio.arrays import BoolMatrix, BoolVector, FloatMatrix, IntArray
from tornio.models.decide import decide_labels
from tornio.models.device import Precision, gpus
from tornio.models.device import precision as precision_for
from tornio.models.finetuned import FineTunedModel, use_of, write_model
from tornio.models.head import LinearHead
from tornio.models.tokens import Tokenizer
from tornio.schemas.registry import EncoderUse
from tornio.seeds import derive_seed
from tornio.spec import FineTuningSpec
from tornio.training.calibration import OutOfSample
from tornio.training.checkpoints import inputs_digest
from tornio.training.data import Data, Examples, prepare
from tornio.training.fewshot import fit_few_shot
from tornio.training.group import Group, current_group
from tornio.training.hooks import Hooks
from tornio.training.loop import run
from tornio.training.network import Network
from tornio.training.objective import CrossEntropy, Objective, Remembering
from tornio.training.targets import UNSEEN_LOGIT, Labelled, decided, stratified_folds

__all__ = ["Work", "fit"]

REHEARSALS = 2
"""Parts of the examples, each predicted by a training on the others. Two cost as much as one training on all."""
HELD_OUT_LOSS = "held_out_log_loss"
"""Metric: the mean log-loss on the examples that calibrated the model, after the temperature."""


def fit(
    labelled: Labelled,
    label_names: Sequence[str],
    multi_label: bool,
    base: Path,
    use: EncoderUse,
    out: Path,
    settings: FineTuningSpec,
    seed: int,
    *,
    precision: str = "auto",
    hooks: Hooks | None = None,
    objective: Callable[[Data], Objective | Remembering] = CrossEntropy.of,
    unlabelled: Sequence[str] = (),
    written: Sequence[str] = (),
    rehearse: bool = False,
    calibrate: bool = True,
) -> FineTunedModel | None:
    """Return the model that these examples make of a base encoder. The same input in the same order gives the same
    model.

    ``base``: folder of a transformers encoder. ``use``: how it is used (pooling, length). ``out``: an empty folder,
    which becomes the model's. ``objective``: makes the objective from the data. ``unlabelled``: texts that the
    objective may use. ``written``: further texts that the network must be able to read. ``rehearse``: calibrate also
    where nothing is held out. ``calibrate``: set it to False where labels are a model's, because to be as sure as it
    agrees with that model is no calibration. Every worker of ``hooks.group`` calls this with the same arguments; rank 0
    gets the model, the others get None. One worker and several compute the same sums, so their results differ by
    rounding only.

    AdamW (Loshchilov and Hutter 2019) with bias correction, linear warm-up and decay, clipped gradients, several
    passes over few labels: Mosbach et al. (2021), "On the Stability of Fine-tuning BERT", section 6. A head that
    starts as the regression on the frozen encoder: Kumar et al. (2022), "Fine-Tuning can Distort Pretrained Features".

    Calibration: a temperature (``OutOfSample``) divides the head's weights, and with several labels allowed thresholds
    are chosen. Both come from the examples that validate, where there are any (``validation_from``). Where there are
    none, and ``rehearse`` is set, two more trainings on half of the examples each predict the other half. That costs as
    much as the training itself once more. To fit the head alone again, without a part of the examples, would be cheaper
    and wrong, because the encoder has learned from all of them. Without either, the head stays as it was trained.

    The head's ``metrics`` are those of ``loop.Training.metrics``, and after a calibration ``temperature`` and
    ``held_out_log_loss``. With the default objective the score is validation_f1, micro-averaged, which is the accuracy
    where each text has one label.

    Raises InvalidInput for no examples, for labels that are all the same, and where the loss is not finite; Stopped
    where the objective raises its alarm, also in a rehearsal. ``out`` is empty then.
    """
    hooks = hooks or Hooks()
    group = hooks.group or current_group()
    tokenizer = Tokenizer(base, use.max_length)
    data = prepare(labelled, label_names, multi_label, tokenizer, settings, seed, unlabelled, written)
    work = Work(base, use, settings, seed, precision_for(precision), objective)
    held = _rehearsed(work, data, hooks, group) if rehearse and calibrate and data.held_out is None else None
    network, metrics = work.train(data, hooks, group, data.ids)
    if group.rank != 0:
        return None
    if data.held_out is not None and calibrate:
        held = _held_out(network, data, data.held_out)
    return work.written(network, data, held, metrics, label_names, out)


@dataclass(frozen=True)
class Work:
    """A training of a base encoder, which data make a network of. A method with trainings of its own makes them here:
    ``fit`` is the normal case."""

    base: Path
    use: EncoderUse
    settings: FineTuningSpec
    seed: int
    precision: Precision
    objective: Callable[[Data], Objective | Remembering]

    def train(
        self, data: Data, hooks: Hooks, group: Group, reads: Sequence[NDArray[np.int64]]
    ) -> tuple[Network, dict[str, float]]:
        """Return the trained network, and the metrics of the training. Every worker calls this.

        ``reads``: token ids of all texts that the network must be able to read before it is widened.
        """
        with torch.random.fork_rng(gpus()), torch.enable_grad():
            goal = self.objective(data)
            torch.manual_seed(derive_seed("head", self.seed))
            network = Network(self.base, self.use.pooling, int(data.learned.sum()), self.precision)
            network.narrow(reads)
            if self.settings.head_start == "logistic-regression" and group.rank == 0:
                _start_head(network, data, self.seed)
            inputs = _digest(data, goal.name, self.use, self.settings, self.seed, self.precision)
            return network, run(network, goal, self.settings, self.seed, inputs, hooks)

    def digest(self, data: Data) -> str:
        """Return the digest of everything that the training depends on."""
        return _digest(data, self.objective(data).name, self.use, self.settings, self.seed, self.precision)

    def written(
        self,
        network: Network,
        data: Data,
        held: OutOfSample | None,
        metrics: Mapping[str, float],
        label_names: Sequence[str],
        out: Path,
    ) -> FineTunedModel:
        """Write the files of a trained network's model into an empty folder, and return the model.

        ``held``: the predictions that calibrate it; None means that it stays as it was trained.
        """
        loss, temperature = held.temperature() if held else (None, 1.0)
        weight, bias = _whole_head(network, data, temperature)
        thresholds = held.thresholds(temperature, label_names) if held else {}
        network.widen()
        write_model(out, network.body, LinearHead(tuple(label_names), data.multi_label, weight, bias), self.base)
        model = FineTunedModel.load(out, use_of(self.use), self.precision)
        measured = {} if loss is None else {"temperature": temperature, HELD_OUT_LOSS: loss}
        return model.with_metrics({**metrics, **measured}, thresholds)


def _rehearsed(work: Work, data: Data, hooks: Hooks, group: Group) -> OutOfSample | None:
    """Train on each half of the examples, and return what these networks predict for the other half; None where no half
    suffices. Every worker calls this, and the first has the predictions.

    The rehearsals leave no checkpoint, so that they cannot take the place of the training's own. A training that
    continues repeats them.
    """
    quiet = replace(hooks, checkpoints=None, report=lambda _: None)
    Y = decided(data.train.targets.numpy(), data.multi_label)
    parts = halves(Y, data.multi_label, work.seed)
    logits, counts = np.zeros(Y.shape, dtype=np.float32), np.zeros(Y.shape, dtype=bool)
    for half in parts:
        rest = replace(data, train=data.train.select(half.rest))
        network, _ = work.train(rest, quiet, group, data.ids)
        if group.rank == 0:
            logits[half.held] = logits_of(network, data.train.select(half.held).ids)
            counts[half.held] = half.counts
    return whole(data, OutOfSample(logits, Y, counts, data.multi_label)) if counts.any() else None


@dataclass(frozen=True, slots=True, eq=False)
class Half:
    """``held`` and ``rest``: int64 rows of the examples. ``counts``: bool [held, outputs], the decisions about the held
    ones that say something, because the rest has examples of the label."""

    held: IntArray
    rest: IntArray
    counts: BoolMatrix


def halves(Y: IntArray, multi_label: bool, seed: int) -> list[Half]:
    """Return the parts of the examples that a training on the others may predict: none where no part suffices.

    ``Y``: int64 [n, outputs] of 0 and 1.
    """
    parts = stratified_folds(Y, REHEARSALS, seed)
    return [half for part in range(REHEARSALS) if (half := half_of(Y, parts == part, multi_label)) is not None]


def half_of(Y: IntArray, held_out: BoolVector, multi_label: bool) -> Half | None:
    """Return the part of the examples that is held out, bool [n], and the rest; None if the rest does not suffice."""
    held, rest = np.flatnonzero(held_out), np.flatnonzero(~held_out)
    present = Y[rest].any(axis=0) & ~Y[rest].all(axis=0)
    if not len(held) or present.sum() < (1 if multi_label else 2):
        return None
    return Half(held, rest, present & (multi_label | (Y[held] == 1)))


def _held_out(network: Network, data: Data, held_out: Examples) -> OutOfSample:
    Y = decided(held_out.targets.numpy(), data.multi_label)
    logits = logits_of(network, held_out.ids)
    counts = np.ones(Y.shape, dtype=bool) if data.multi_label else Y == 1
    return whole(data, OutOfSample(logits, Y, counts, data.multi_label))


def whole(data: Data, part: OutOfSample) -> OutOfSample:
    """Return the predictions with a column for each label, also for those that no example or every example has."""
    shape = (len(part.Y), len(data.learned))
    logits = np.full(shape, UNSEEN_LOGIT, dtype=np.float32)
    Y, counts = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=bool)
    logits[:, data.learned], Y[:, data.learned], counts[:, data.learned] = part.logits, part.Y, part.counts
    return OutOfSample(logits, Y, counts, part.multi_label)


def logits_of(network: Network, ids: Sequence[NDArray[np.int64]]) -> FloatMatrix:
    """Return float32 [n, outputs] of token ids, without dropout."""
    return network.computed(ids, network.head.out_features, network)


def _start_head(network: Network, data: Data, seed: int) -> None:
    """Set the head to the few-shot head on the vectors that the encoder gives before training."""
    train = data.train
    vectors = network.computed(train.ids, network.head.in_features, network.pooled)
    names = [str(column) for column in range(network.head.out_features)]
    labels = decide_labels(train.targets.numpy(), names, data.multi_label)
    head = fit_few_shot(vectors, labels, names, data.multi_label, seed, weights=train.weights.numpy())
    with torch.no_grad():
        network.head.weight.copy_(torch.from_numpy(head.weight))
        network.head.bias.copy_(torch.from_numpy(head.bias))


def _whole_head(network: Network, data: Data, temperature: float) -> tuple[FloatMatrix, NDArray[np.float32]]:
    """Return weight [labels, dim] and bias [labels], divided by the temperature. They include the labels that no
    example or every example has."""
    weight = np.zeros((len(data.learned), network.head.in_features), dtype=np.float32)
    bias = np.where(data.always, -UNSEEN_LOGIT, UNSEEN_LOGIT).astype(np.float32)
    weight[data.learned] = network.head.weight.detach().cpu().numpy() / np.float32(temperature)
    bias[data.learned] = network.head.bias.detach().cpu().numpy() / np.float32(temperature)
    return weight, bias


def _digest(data: Data, objective: str, use: EncoderUse, settings: FineTuningSpec, seed: int, precision: str) -> str:
    """Return the digest of everything that the training depends on."""
    first = data.learned.tobytes()
    for examples in filter(None, (data.train, data.held_out)):
        first += examples.targets.numpy().tobytes() + examples.weights.numpy().tobytes()
    rest = [objective, use.model_dump(mode="json"), settings.model_dump(mode="json"), seed, precision]
    return inputs_digest(first, data.ids, rest)
