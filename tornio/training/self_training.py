"""Self-training: how many rounds help is judged on labels that no round learned from, and the best one is kept.

Source and deviations: ``tornio.training.rounds``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tornio.arrays import BoolMatrix, IntArray
from tornio.models.device import precision as precision_for
from tornio.models.finetuned import FineTunedModel
from tornio.models.kinds import FINE_TUNED
from tornio.models.tokens import Tokenizer
from tornio.schemas.registry import EncoderUse
from tornio.spec import FineTuningSpec
from tornio.training.calibration import OutOfSample
from tornio.training.data import Data, prepare
from tornio.training.group import Group, current_group
from tornio.training.hooks import Hooks
from tornio.training.objective import CrossEntropy
from tornio.training.rounds import Chain, Told, sampled
from tornio.training.supervised import Work, halves, whole
from tornio.training.targets import Labelled, decided

if TYPE_CHECKING:
    from tornio.training.methods.self_training import SelfTrainingSettings

__all__ = ["fit"]


def fit(
    labelled: Labelled,
    label_names: Sequence[str],
    unlabelled: Sequence[str],
    base: Path,
    use: EncoderUse,
    out: Path,
    fine_tuning: FineTuningSpec,
    settings: SelfTrainingSettings,
    seed: int,
    *,
    precision: str = "auto",
    hooks: Hooks | None = None,
) -> FineTunedModel | None:
    """Return the model of the round that is best on labels that were held out of it.

    Arguments as of ``supervised.fit``. ``unlabelled``: texts of the pool. Every worker calls this; rank 0 gets the
    model, the others get None.

    Where there are labels that validate, they judge. Otherwise the rounds are made on each half of the labels, with the
    same pool, and the other half judges. The measure is the log-loss after a temperature (``OutOfSample``). Rounds end
    with the first one that is not better than all before, or after ``settings.rounds``. Then the best one is made from
    all labels, and it has the temperature that was best for it.

    The head's ``metrics``: those of the training, ``round`` (the one that was kept), and of each round r that was made
    ``round_r_held_out_log_loss`` and ``round_r_held_out_accuracy``; of those that the model comes from also
    ``round_r_texts_of_<label>``, the texts that it learned from, and ``round_r_bald``, their mean BALD.

    Raises InvalidInput for labels that do not suffice, and for texts from which nothing can be learned.
    """
    hooks = hooks or Hooks()
    group = hooks.group or current_group()
    samples = sampled(unlabelled, len(label_names), settings, seed)
    rows = np.unique(np.concatenate(samples))
    texts = [unlabelled[row] for row in rows]
    data = prepare(labelled, label_names, False, Tokenizer(base, use.max_length), fine_tuning, seed, texts)
    work = Work(base, use, fine_tuning, seed, precision_for(precision), CrossEntropy.of)
    told = Told(hooks, _most_steps(data, fine_tuning, settings))
    chains = _Chains(work, [np.searchsorted(rows, sample) for sample in samples], settings, told, group)
    last = chains.chain("all", data)
    judged = _judged(chains, last)
    best = min(range(len(judged)), key=lambda number: judged[number].loss) if judged else 0
    network, metrics = last.train(best)
    if group.rank != 0:
        return None
    held = whole(data, judged[best].said) if judged else None
    model = work.written(network, data, held, metrics | _metrics(judged, last, best, label_names), label_names, out)
    model.chosen = FINE_TUNED, _why(judged, best, len(data.train), len(unlabelled))
    return model


@dataclass(frozen=True, slots=True, eq=False)
class _Judged:
    """A round on labels that it did not learn from: its log-loss after a temperature, and the share that is right."""

    loss: float
    accuracy: float
    said: OutOfSample


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """A chain, and the rows of the labels that judge it. ``counts``: bool [judges, outputs], as of ``OutOfSample``."""

    chain: Chain
    rows: IntArray
    counts: BoolMatrix


@dataclass(frozen=True, slots=True, eq=False)
class _Chains:
    """What all chains have in common."""

    work: Work
    samples: Sequence[IntArray]
    settings: SelfTrainingSettings
    told: Told
    group: Group

    def chain(self, name: str, data: Data) -> Chain:
        return Chain(name, self.work, data, data.held_out, self.samples, self.settings, self.told, self.group)


def _judged(chains: _Chains, last: Chain) -> list[_Judged]:
    """Make and judge the rounds until one is not better than all before. None are made where no label can be held
    out."""
    data = last.data
    if data.held_out is not None:
        Y = decided(data.held_out.targets.numpy(), False)
        parts = [_Part(last, np.arange(len(Y)), Y == 1)]
    else:
        Y = decided(data.train.targets.numpy(), False)
        parts = [
            _Part(_half(chains, data, number, half.rest, half.held), half.held, half.counts)
            for number, half in enumerate(halves(Y, False, chains.work.seed), 1)
        ]
    judged: list[_Judged] = []
    while any(part.counts.any() for part in parts) and len(judged) <= chains.settings.rounds:
        judged.append(_judge(parts, Y, len(judged)))
        if any(one.loss <= judged[-1].loss for one in judged[:-1]):
            break
    return judged


def _half(chains: _Chains, data: Data, number: int, rest: IntArray, held: IntArray) -> Chain:
    part = chains.chain(f"half-{number}", replace(data, train=data.train.select(rest)))
    part.judges = data.train.select(held)
    return part


def _judge(parts: Sequence[_Part], Y: IntArray, number: int) -> _Judged:
    logits, counts = np.zeros(Y.shape, dtype=np.float32), np.zeros(Y.shape, dtype=bool)
    for part in parts:
        logits[part.rows] = part.chain.turn(number).logits
        counts[part.rows] = part.counts
    said, rows = OutOfSample(logits, Y, counts, False), counts.any(axis=1)
    right = logits[rows].argmax(axis=1) == Y[rows].argmax(axis=1)
    return _Judged(said.temperature()[0], float(right.mean()), said)


def _metrics(judged: Sequence[_Judged], last: Chain, best: int, label_names: Sequence[str]) -> dict[str, float]:
    metrics = {"round": float(best)}
    for number, one in enumerate(judged):
        metrics[f"round_{number}_held_out_log_loss"] = one.loss
        metrics[f"round_{number}_held_out_accuracy"] = one.accuracy
    names = [name for name, learned in zip(label_names, last.data.learned, strict=True) if learned]
    for number in range(1, best + 1):
        votes, rows = last.chosen(number)
        counts = np.bincount(votes.classes[rows], minlength=len(names))
        metrics |= {f"round_{number}_texts_of_{name}": float(n) for name, n in zip(names, counts, strict=True)}
        metrics[f"round_{number}_bald"] = float(votes.information[rows].mean())
    return metrics


def _why(judged: Sequence[_Judged], best: int, labels: int, texts: int) -> str:
    if not judged:
        return f"supervised: {labels} labelled texts are too few to hold some out, so no round could be judged"
    kept = f"round {best} of self-training" if best else "supervised, because no round of self-training is better"
    losses = ", ".join(f"{f'round {n}' if n else 'supervised'} {one.loss:.3f}" for n, one in enumerate(judged))
    return f"{kept}: log-loss on labels that were held out: {losses} ({labels} labelled texts, {texts} without a label)"


def _most_steps(data: Data, fine_tuning: FineTuningSpec, settings: SelfTrainingSettings) -> int:
    """Return the most steps that all trainings together may have."""

    def steps(examples: int, epochs: int) -> int:
        return epochs * -(-examples // fine_tuning.batch_size)

    sizes = [len(data.train)] + ([] if data.held_out else [-(-len(data.train) // 2)] * 2)
    extra = settings.learn_size + len(data.learned)
    student = [steps(size + extra, settings.epochs) for size in sizes]
    again = student[0] if data.held_out else 0
    return sum(steps(size, fine_tuning.epochs) for size in sizes) + settings.rounds * sum(student) + again
