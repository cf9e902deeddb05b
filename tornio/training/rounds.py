"""Self-training in rounds: each student starts from the base, and learns from labels and from what the one before said.

Source: Mukherjee and Awadallah (2020), "Uncertainty-aware Self-training for Few-shot Text Classification". Deviations:
see ``docs/self-training.md``. The choices are in ``tornio.training.uncertainty``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from tornio.arrays import FloatMatrix, IntArray
from tornio.errors import InvalidInput
from tornio.models.batching import token_batches
from tornio.models.device import device, gpus
from tornio.seeds import derive_seed
from tornio.training.checkpoints import CheckpointStore, Position, load_checkpoint, save_checkpoint
from tornio.training.data import Data, Examples, TokenIds, class_weights
from tornio.training.group import Group
from tornio.training.hooks import Hooks, Progress
from tornio.training.network import Network
from tornio.training.pseudo_labels import least_texts
from tornio.training.supervised import Work, logits_of
from tornio.training.uncertainty import Votes, choose

if TYPE_CHECKING:
    from tornio.training.methods.self_training import SelfTrainingSettings


def sampled(texts: Sequence[str], labels: int, settings: SelfTrainingSettings, seed: int) -> list[IntArray]:
    """Return the rows of the texts that each round may learn from: a sample of its own, drawn at random.

    Raises InvalidInput where there is nothing to learn from.
    """
    least = least_texts(labels)
    if not texts:
        raise InvalidInput(
            "self-training learns from texts without a label, and the pool has none that is neither labelled nor held "
            "out: add texts with `tornio pool add`, or choose training.method 'supervised'"
        )
    if len(texts) < least:
        raise InvalidInput(
            f"self-training needs at least {least} texts that have no label and are not held out, and the pool has "
            f"{len(texts)}: add more with `tornio pool add`"
        )
    if len(set(texts)) == 1:
        raise InvalidInput(f"all {len(texts)} texts without a label are alike: add texts that differ")
    random = [np.random.default_rng(derive_seed("sample", seed, number)) for number in range(settings.rounds)]
    return [np.sort(one.permutation(len(texts))[: settings.sample_size]).astype(np.int64) for one in random]


@dataclass(slots=True)
class Told:
    """Reports of several trainings in a row, as if they were one. ``whole``: the most steps that there can be."""

    hooks: Hooks
    whole: int
    done: int = 0

    def report(self, progress: Progress) -> None:
        self.hooks.report(replace(progress, step=self.done + progress.step, steps=self.whole))


@dataclass(frozen=True, slots=True, eq=False)
class Turn:
    """What is kept of a round. ``votes``: what its network says of the next round's sample. ``logits``: float32
    [judged, outputs], what it says of the texts that judge it."""

    votes: Votes
    logits: FloatMatrix


@dataclass(eq=False)
class Chain:
    """The rounds of one teacher and its students. Round 0 learns from labels alone.

    ``data``: the labels that it learns from, and the pool as ``unlabelled``. ``judges``: labelled texts that it does
    not learn from. Every worker has the same chain and makes the same calls. Network, votes and logits are the same on
    all of them.
    """

    name: str
    work: Work
    data: Data
    judges: Examples | None
    samples: Sequence[IntArray]
    settings: SelfTrainingSettings
    told: Told
    group: Group
    turns: list[Turn] = field(default_factory=list)

    def turn(self, number: int) -> Turn:
        """Return what is kept of this round, and of all before it. An interrupted round continues."""
        while len(self.turns) <= number:
            self.turns.append(self._next(len(self.turns)))
        return self.turns[number]

    def train(self, number: int) -> tuple[Network, dict[str, float]]:
        """Return the network of a round, and the metrics of its training."""
        work, data = self._student(number)
        store = self._store(number)
        checkpoints = None if store is None else store.part("steps")
        hooks = replace(self.told.hooks, report=self.told.report, checkpoints=checkpoints, group=self.group)
        reads = [*data.ids, *(self.judges.ids if self.judges else ())]
        network, metrics = work.train(data, hooks, self.group, reads)
        self.told.done += int(metrics["steps"])
        return network, metrics

    def chosen(self, number: int) -> tuple[Votes, IntArray]:
        """Return what the network of the round before says of this round's sample, and the rows of it to learn from."""
        votes = self.turn(number - 1).votes
        seed = derive_seed("choose", self.work.seed, number)
        return votes, choose(votes, self.settings.learn_size, self.settings.prefer, seed)

    def _student(self, number: int) -> tuple[Work, Data]:
        if number == 0:
            return self.work, self.data
        votes, rows = self.chosen(number)
        targets = nn.functional.one_hot(torch.from_numpy(votes.classes[rows]), votes.mean.shape[1]).float()
        weights = torch.from_numpy(votes.weights(self.settings.alpha)[rows])
        labels, texts = self.data.train, [self.data.unlabelled[row] for row in self.samples[number - 1][rows]]
        examples = Examples(
            [*labels.ids, *texts], torch.cat([labels.targets, targets]), torch.cat([labels.weights, weights])
        )
        settings = self.work.settings.model_copy(update={"epochs": self.settings.epochs})
        balance = class_weights(examples, settings.class_weights)  # the texts are drawn equally of each class already
        return replace(self.work, settings=settings), replace(self.data, train=examples, class_weights=balance)

    def _next(self, number: int) -> Turn:
        work, data = self._student(number)
        votes, judges = number < self.settings.rounds, self.judges
        outputs = data.train.targets.shape[1]
        sample = [data.unlabelled[row] for row in self.samples[number]] if votes else []
        table = torch.zeros((len(sample), outputs + 2), dtype=torch.float64, device=device())
        logits = torch.zeros((len(judges) if judges else 0, outputs), device=device())
        said, inputs = {"votes": table, "logits": logits}, f"{work.digest(data)}-{self.settings.model_dump_json()}"
        store = self._store(number)
        steps = self._recalled(store, inputs, said)
        if steps is None:
            network, metrics = self.train(number)
            table += self._votes(network, sample, number)
            self.group.sum([table])
            if judges:
                logits += torch.from_numpy(logits_of(network, judges.ids)).to(logits.device)
            if store is not None and self.group.rank == 0:
                save_checkpoint(store, inputs, Position(step=int(metrics["steps"])), said)
                store.part("steps").clear()  # what was said is enough to go on
        else:
            self.told.done += steps
        self.group.spread(list(said.values()))
        return Turn(Votes.from_table(table.cpu().numpy()), logits.cpu().numpy())

    def _recalled(self, store: CheckpointStore | None, inputs: str, said: dict[str, Tensor]) -> int | None:
        """Fill these tensors on the first worker, where an earlier attempt has finished the round. Return the steps of
        the round, or None, on every worker."""
        found = load_checkpoint(store, inputs, said) if store is not None and self.group.rank == 0 else None
        steps = torch.tensor([-1 if found is None else found.step], dtype=torch.float64, device=device())
        self.group.spread([steps])
        return None if steps.item() < 0 else int(steps.item())

    def _votes(self, network: Network, texts: Sequence[TokenIds], number: int) -> Tensor:
        """Return float64 [n, outputs + 2]: this worker's part of ``Votes.table``, with zeros in the other rows.

        All passes of a text are one worker's, so that the votes do not depend on how many workers there are.
        """
        if not any(isinstance(module, nn.Dropout) and module.p > 0 for module in network.modules()):
            raise InvalidInput(
                "the base model has no dropout, so self-training cannot see how sure its teacher is: choose another "
                "classifier.encoder or training.method"
            )
        table = np.zeros((len(texts), network.head.out_features + 2))
        batches = token_batches([len(text) for text in texts])
        network.train()
        with torch.random.fork_rng(gpus()), torch.no_grad():
            for batch, rows in list(enumerate(batches))[self.group.rank :: self.group.size]:
                passes = []
                for one in range(self.settings.mc_passes):
                    torch.manual_seed(derive_seed("votes", self.work.seed, self.name, number, batch, one))
                    passes.append(network([texts[row] for row in rows]).double().softmax(1).cpu().numpy())
                table[rows] = Votes.of(np.stack(passes)).table()
        return torch.from_numpy(table).to(device())

    def _store(self, number: int) -> CheckpointStore | None:
        """Return where a round keeps what it said. The checkpoints of its training are the part ``steps`` of it."""
        checkpoints = self.told.hooks.checkpoints
        return None if checkpoints is None else checkpoints.part(f"{self.name}-{number}")
