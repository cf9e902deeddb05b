"""The ``Remembering`` of consistency training, which the training loop runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tornio.models.device import Precision
from tornio.models.tokens import Tokenizer
from tornio.seeds import derive_seed
from tornio.training.augmenting import Views
from tornio.training.augmenting.port import Corpus, Variants
from tornio.training.augmenting.words import Words
from tornio.training.batches import Rows
from tornio.training.consistency.formulas import entropy
from tornio.training.consistency.objectives import Batch, Losses
from tornio.training.consistency.sampling import drawn
from tornio.training.consistency.seen import Recalled, seen, size
from tornio.training.consistency.settings import ConsistencySettings
from tornio.training.data import Data, TokenIds
from tornio.training.network import Network
from tornio.training.objective import CrossEntropy, Verdict

TokenVariants = Mapping[bytes, Sequence[TokenIds]]
"""Token ids of the views of a text, by the bytes of the text's own."""
EPOCHS = 10
"""Parts of the training. After each, the examples that validate are judged, where there are any."""
WINDOW = 0.1
"""About the share of the training's steps that the memory looks back on."""
SETTLED = 0.9
"""How full the memory is when the guard begins to judge: after about a quarter of the steps. At first a network may
give most texts one label, without harm: it has not learned yet."""


@dataclass(frozen=True, eq=False)
class Consistency:
    """A training example is a labelled text and ``settings.ratio`` unlabelled ones.

    ``labels``: the loss of labelled texts. ``views``: makes views of texts. ``steps``: of the whole training, a
    multiple of ``EPOCHS``. ``counted``: further metrics.
    """

    labels: CrossEntropy
    unlabelled: Sequence[TokenIds]
    views: Callable[[Sequence[TokenIds], np.random.Generator], list[TokenIds]]
    settings: ConsistencySettings
    steps: int
    seed: int
    counted: Mapping[str, float] = field(default_factory=dict)

    score_name = CrossEntropy.score_name
    sums = CrossEntropy.sums

    @property
    def name(self) -> str:
        return f"consistency {self.steps} {self.settings.model_dump_json()}"

    @cached_property
    def lengths(self) -> list[int]:
        """As many for all examples, because the texts of an example change from one epoch to the next."""
        texts = self.settings.way.labelled_passes * max(self.labels.lengths)
        longest = max(len(ids) for ids in self.unlabelled)
        return [texts + self.settings.ratio * longest] * (self.steps // EPOCHS * self.settings.batch_size)

    @property
    def held_out_lengths(self) -> list[int]:
        return self.labels.held_out_lengths

    @property
    def remembered(self) -> int:
        return size(self._classes)

    def loss_and_seen(self, network: Network, rows: Rows, done: float, memory: Tensor) -> tuple[Tensor, Tensor]:
        losses = self._losses(network, rows, done, Recalled(memory))
        labelled = losses.labelled / self._mean_weight
        unlabelled = losses.unlabelled * self.settings.weight / self.settings.ratio
        return labelled + unlabelled, seen(losses.labelled_probabilities, losses.unlabelled_probabilities, losses.used)

    def remember(self, memory: Tensor, seen: Tensor) -> Tensor:
        return self._fading * memory + seen

    def alarm(self, memory: Tensor) -> str | None:
        """Return why the predicted labels show that the training goes wrong, or None."""
        recalled = Recalled(memory)
        if recalled.texts < SETTLED * self._texts_of_a_step / (1 - self._fading):
            return None
        found, expected = entropy(recalled.predicted), self._label_entropy
        if found >= self.settings.guard * expected:
            return None
        return (
            f"the model gives almost all texts the same few labels (entropy of the predicted labels {found:.2f}, of "
            f"those given {expected:.2f}; less than {self.settings.guard:g} of that stops the training)"
        )

    def measured(self, memory: Tensor) -> Mapping[str, float]:
        """``unlabelled_used``: share of the unlabelled texts that trained. ``predicted_entropy``: of their predicted
        labels, as a share of that of the labelled texts' labels. Both of the last steps."""
        recalled = Recalled(memory)
        return {
            **self.counted,
            "unlabelled_used": recalled.used,
            "predicted_entropy": entropy(recalled.predicted) / self._label_entropy,
        }

    def weight(self, rows: Rows) -> float:
        return float(len(rows))

    def judge(self, network: Network, rows: Rows) -> Tensor:
        return self.labels.judge(network, rows)

    def verdict(self, sums: Sequence[float]) -> Verdict:
        return self.labels.verdict(sums)

    def _losses(self, network: Network, rows: Rows, done: float, recalled: Recalled) -> Losses:
        step = round(done * self.steps)
        places = step // (self.steps // EPOCHS) * len(self.lengths) + rows
        labelled = drawn("labelled", self.seed, len(self.labels.train), places)
        every = (places[:, None] * self.settings.ratio + np.arange(self.settings.ratio)).ravel()
        unlabelled = drawn("unlabelled", self.seed, len(self.unlabelled), every)
        batch = Batch(
            rows=labelled,
            labelled=[self.labels.train.ids[row] for row in labelled],
            targets=self.labels.train.targets[torch.from_numpy(labelled)],
            unlabelled=[self.unlabelled[row] for row in unlabelled],
            views=self.views,
            done=done,
            random=np.random.default_rng(derive_seed("views", self.seed, step, int(rows[0]))),
        )

        def label_loss(logits: Tensor, rows: Rows) -> Tensor:
            return self.labels.loss_of(logits, self.labels.train, rows)

        losses: Losses = self.settings.way.compute(network, batch, label_loss, recalled, self.settings)
        return losses

    @cached_property
    def _classes(self) -> int:
        return int(self.labels.train.targets.shape[1])

    @cached_property
    def _mean_weight(self) -> float:
        """Mean weight of a labelled text, so that its loss counts 1 on average."""
        count = len(self.labels.train)
        return self.labels.weight(np.arange(count)) / count

    @cached_property
    def _label_entropy(self) -> float:
        train = self.labels.train
        shares = (train.targets * train.weights[:, None]).sum(0)
        return entropy(shares / shares.sum())

    @property
    def _texts_of_a_step(self) -> int:
        return self.settings.batch_size * self.settings.ratio

    @property
    def _fading(self) -> float:
        return 1 - 1 / max(WINDOW * self.steps, 1.0)


def goal_of(
    data: Data,
    settings: ConsistencySettings,
    steps: int,
    base: Path,
    precision: Precision,
    seed: int,
    written: Mapping[str, TokenVariants],
) -> Consistency:
    """Return the goal of a training on these data. ``written``: see ``Corpus``. Raises InvalidInput as the
    augmentations do."""
    corpus = Corpus([*data.train.ids, *data.unlabelled], Words.of(base), base, precision, written)
    views = Views.of(settings.augmentations, corpus)
    return Consistency(CrossEntropy.of(data), data.unlabelled, views, settings, steps, seed, _counted(written))


def tokenised(written: Mapping[str, Variants], tokenizer: Tokenizer) -> dict[str, TokenVariants]:
    """Return the views that augmentations have written as token ids: see ``Corpus.written``.

    Texts that have the same tokens share their views.
    """
    found: dict[str, TokenVariants] = {}
    for name, variants in written.items():
        views: dict[bytes, list[TokenIds]] = {}
        for text, ids in zip(variants, tokenizer.encode(list(variants)).ids, strict=True):
            views.setdefault(ids.tobytes(), []).extend(tokenizer.encode(variants[text]).ids)
        found[name] = views
    return found


def _counted(written: Mapping[str, TokenVariants]) -> dict[str, float]:
    """``without_view``: texts for which an augmentation wrote nothing; none where nothing was to be written."""
    if not written:
        return {}
    return {"without_view": float(sum(not views for each in written.values() for views in each.values()))}


def whole_steps(steps: int) -> int:
    """Return the number of steps, rounded up to whole parts."""
    return -(-steps // EPOCHS) * EPOCHS
