"""Tune an encoder so that texts of one class are near each other, then fit a head on its vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from tornio.arrays import BoolVector, FloatMatrix, IntArray
from tornio.models.decide import decide_labels
from tornio.models.device import Precision, gpus
from tornio.models.device import precision as precision_for
from tornio.models.finetuned import FineTunedModel, write_model
from tornio.models.head import LinearHead
from tornio.models.pretrained import load_body
from tornio.models.tokens import Tokenizer
from tornio.schemas.registry import EncoderUse
from tornio.spec import FineTuningSpec
from tornio.training.batches import Rows
from tornio.training.calibration import OutOfSample
from tornio.training.checkpoints import inputs_digest
from tornio.training.data import TokenIds
from tornio.training.fewshot import fit_few_shot
from tornio.training.group import Group, current_group
from tornio.training.hooks import Hooks
from tornio.training.loop import run
from tornio.training.network import EncoderNetwork
from tornio.training.objective import Verdict
from tornio.training.pairs import Pairs, draw_pairs
from tornio.training.supervised import HELD_OUT_LOSS, halves
from tornio.training.targets import Labelled, check_sufficient, decided


@dataclass(frozen=True, slots=True)
class Tuning:
    """How an encoder is tuned. ``pairs``: for each text. ``most_pairs``: in all. ``batch_size``: pairs of a step."""

    pairs: int
    most_pairs: int
    batch_size: int
    learning_rate: float

    def count(self, texts: int) -> int:
        """Return the number of pairs of a training."""
        return min(self.pairs * texts, self.most_pairs)


def fit(
    labelled: Labelled,
    label_names: Sequence[str],
    base: Path,
    use: EncoderUse,
    out: Path,
    tuning: Tuning,
    settings: FineTuningSpec,
    seed: int,
    *,
    precision: str = "auto",
    hooks: Hooks | None = None,
) -> FineTunedModel | None:
    """Return the model that these examples, of one label each, make of a base encoder. The same input in the same order
    gives the same model.

    ``settings``: warm-up, weight decay and the longest gradient are read from here. The other arguments are those of
    ``supervised.fit``, and so is what each worker gets. Examples of weight 0 are left out; the weights of the others
    count in the head, and not in the pairs.

    Tunstall et al. (2022), "Efficient Few-Shot Learning Without Prompts" (SetFit), section 3: pairs of labelled texts
    tune the encoder, and a logistic regression learns from its vectors. Deviations: the loss (see ``PairLoss``); the
    vectors that the head gets have length one, as those that were compared; strength and balance of the head are those
    of ``fit_few_shot``; and the model is calibrated.

    Calibration: two more trainings on half of the examples each, with a head of their own, predict the other half, and
    a temperature is fitted to that. What the head can say out of fold is no measure, because the encoder has learned
    from every fold.

    The head's ``metrics``: ``examples``, ``pairs``, ``steps``, ``train_loss``, ``c``, ``temperature``, and
    ``held_out_log_loss`` where a rehearsal was possible.
    Raises InvalidInput for no examples, for examples of one class only, and where the loss is not finite.
    """
    hooks = hooks or Hooks()
    group = hooks.group or current_group()
    labelled = labelled.select(np.flatnonzero(labelled.weights > 0))
    Y = decided(labelled.targets, False)
    check_sufficient(Y, label_names, False)
    examples = _Examples(Tokenizer(base, use.max_length).encode(labelled.texts).ids, labelled, tuple(label_names))
    work = _Work(base, use, tuning, settings, seed, precision_for(precision), examples)
    held = work.rehearsed(hooks, group)
    everything = np.arange(len(Y))
    network, metrics = work.tuned(everything, tuning.count(len(Y)), hooks)
    if group.rank != 0:
        return None
    head = work.head(network, everything)
    loss, temperature = held.temperature() if held else (None, 1.0)
    head = _sharpened(head, temperature, np.asarray(Y.any(axis=0)))
    network.widen()
    write_model(out, network.body, head, base)
    model = FineTunedModel.load(out, tuned_use(use), precision)
    measured = {
        "examples": float(len(Y)),
        "pairs": metrics["examples"],
        "steps": metrics["steps"],
        "train_loss": metrics["train_loss"],
        "c": head.metrics["c"],
        "temperature": head.metrics["temperature"] * temperature,
    }
    return model.with_metrics(measured if loss is None else measured | {HELD_OUT_LOSS: loss})


def tuned_use(base: EncoderUse) -> EncoderUse:
    """Return how a model uses the encoder tuned from this base: all layers, and vectors of length one."""
    return base.evolve(layer=-1, layers=None, normalise=True)


@dataclass(frozen=True, eq=False)
class PairLoss:
    """The ``Objective`` of labelled pairs. An example is a pair of texts of one class. Nothing is held out.

    SetFit's loss: the squared error of the cosine similarity of two texts, which should be 1 in a class and 0 between
    classes. SetFit looks at one drawn pair at a time. Here, each text is compared with all others of the micro-batch,
    which costs no further pass through the encoder; those of its class and the others weigh the same, as in SetFit.
    """

    ids: Sequence[TokenIds]
    classes: IntArray
    pairs: Pairs

    name = "pairs"
    held_out_lengths = ()
    score_name = "log_likelihood"
    sums = 1

    @cached_property
    def lengths(self) -> list[int]:
        """Tokens of both texts of a pair together."""
        sizes = np.array([len(row) for row in self.ids], dtype=np.int64)
        return [int(size) for size in sizes[self.pairs].sum(axis=1)]

    def loss(self, network: EncoderNetwork, rows: Rows, done: float) -> Tensor:
        texts = self.pairs[rows].flatten()
        vectors = functional.normalize(network.pooled([self.ids[int(text)] for text in texts]), dim=1)
        classes = torch.from_numpy(self.classes[texts]).to(vectors.device)
        return contrastive_loss(vectors, classes) * len(rows)

    def weight(self, rows: Rows) -> float:
        return float(len(rows))

    def judge(self, network: EncoderNetwork, rows: Rows) -> Tensor:
        raise ValueError("this objective has no held-out examples")

    def verdict(self, sums: Sequence[float]) -> Verdict:
        raise ValueError("this objective has no held-out examples")


def contrastive_loss(vectors: Tensor, classes: Tensor) -> Tensor:
    """Return the mean squared error of the cosine similarities: that of pairs of one class, and that of pairs of two
    classes, half each.

    ``vectors``: float32 [n, dim] of length one. ``classes``: int64 [n], at least two of them equal. Where all are
    equal, only pairs of one class count.
    """
    similarities = vectors @ vectors.T
    alike = classes[:, None] == classes[None, :]
    same = alike & ~torch.eye(len(vectors), dtype=torch.bool, device=vectors.device)
    near = (1 - similarities[same]).square().mean()
    if alike.all():
        return near / 2
    return (near + similarities[~alike].square().mean()) / 2


@dataclass(frozen=True, eq=False)
class _Examples:
    """Texts with one label each. ``ids``: their token ids."""

    ids: Sequence[TokenIds]
    labelled: Labelled
    names: tuple[str, ...]

    @property
    def classes(self) -> IntArray:
        return np.asarray(self.labelled.targets.argmax(axis=1), dtype=np.int64)


@dataclass(frozen=True, eq=False)
class _Work:
    """A training of a base encoder on some of the examples."""

    base: Path
    use: EncoderUse
    tuning: Tuning
    settings: FineTuningSpec
    seed: int
    precision: Precision
    examples: _Examples

    def tuned(self, rows: IntArray, count: int, hooks: Hooks) -> tuple[EncoderNetwork, dict[str, float]]:
        """Return an encoder that so many pairs of these rows tuned, and the metrics of ``loop.Training``. It can read
        all examples. Every worker calls this."""
        ids, classes = [self.examples.ids[row] for row in rows], self.examples.classes[rows]
        goal = PairLoss(ids, classes, draw_pairs(classes, count, self.seed))
        settings = self.settings.model_copy(
            update={"epochs": 1, "batch_size": self.tuning.batch_size, "learning_rate": self.tuning.learning_rate}
        )
        with torch.random.fork_rng(gpus()), torch.enable_grad():
            network = EncoderNetwork(load_body(self.base, "float32"), self.use.pooling, self.precision)
            network.narrow(self.examples.ids)
            return network, run(network, goal, settings, self.seed, self._digest(goal), hooks)

    def head(self, network: EncoderNetwork, rows: IntArray) -> LinearHead:
        """Return the head that these rows make of the encoder's vectors."""
        part, names = self.examples.labelled.select(rows), self.examples.names
        labels = decide_labels(part.targets, names, False)
        return fit_few_shot(self._vectors(network, rows), labels, names, False, self.seed, part.weights)

    def rehearsed(self, hooks: Hooks, group: Group) -> OutOfSample | None:
        """Train on each half of the examples, and return what these models predict for the other half; None where no
        half suffices. Every worker calls this, and the first has the predictions.

        The rehearsals leave no checkpoint. A training that continues repeats them.
        """
        quiet = replace(hooks, checkpoints=None, report=lambda _: None)
        Y = decided(self.examples.labelled.targets, False)
        logits, counts = np.zeros(Y.shape, dtype=np.float32), np.zeros(Y.shape, dtype=bool)
        for half in halves(Y, False, self.seed):
            network, _ = self.tuned(half.rest, self.tuning.count(len(Y)) * len(half.rest) // len(Y), quiet)
            if group.rank == 0:
                logits[half.held] = self.head(network, half.rest).logits(self._vectors(network, half.held))
                counts[half.held] = half.counts
        return OutOfSample(logits, Y, counts, False) if counts.any() else None

    def _vectors(self, network: EncoderNetwork, rows: IntArray) -> FloatMatrix:
        """Return float32 [n, dim] of length one, without dropout."""
        ids = [self.examples.ids[row] for row in rows]
        width = int(network.body.config.hidden_size)
        return network.computed(ids, width, lambda texts: functional.normalize(network.pooled(texts), dim=1))

    def _digest(self, goal: PairLoss) -> str:
        """Return the digest of everything that the training depends on."""
        use, settings = self.use.model_dump(mode="json"), self.settings.model_dump(mode="json")
        rest = [goal.name, use, astuple(self.tuning), settings, self.seed, self.precision]
        return inputs_digest(goal.classes.tobytes() + goal.pairs.tobytes(), goal.ids, rest)


def _sharpened(head: LinearHead, temperature: float, seen: BoolVector) -> LinearHead:
    """Return the head with its logits divided by the temperature, but for labels without an example."""
    divisor = np.where(seen, np.float32(temperature), np.float32(1.0)).astype(np.float32)
    return replace(head, weight=head.weight / divisor[:, None], bias=head.bias / divisor)
