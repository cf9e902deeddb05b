"""The steps of a training: gradients, schedule, validation, early stopping."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from tornio.errors import InvalidInput
from tornio.models.batching import token_batches
from tornio.models.device import device
from tornio.seeds import derive_seed
from tornio.spec import FineTuningSpec
from tornio.training.batches import Rows, epoch_batches
from tornio.training.checkpoints import Position
from tornio.training.examples import Examples
from tornio.training.group import Group
from tornio.training.network import Network

REPORT_STEPS = 10
"""Steps between two reports; the last of an epoch is told in any case."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a training is. ``loss``: mean since the last report; ``learning_rate``: of the encoder; ``validation``:
    micro-averaged F1 and loss, after an epoch that was validated."""

    step: int
    steps: int
    epoch: int
    loss: float
    learning_rate: float
    validation: Mapping[str, float] | None = None


class Training:
    """Network, optimizer and position of one training; ``steps`` makes it.

    ``tensors`` and ``position`` are its whole state: batches and dropout follow from the seed and the step.
    """

    def __init__(
        self, network: Network, train: Examples, held_out: Examples | None, settings: FineTuningSpec, seed: int
    ) -> None:
        """``held_out``: only validates."""
        self._network = network
        self._train = train
        self._held_out = held_out
        self._settings = settings
        self._seed = seed
        self._epoch_steps = -(-len(train) // settings.batch_size)
        self._last_step = settings.epochs * self._epoch_steps
        self._optimizer = make_optimizer(network, settings)
        self._loss = torch.zeros(1, device=device())
        self.position = Position()
        self.tensors = self._state()

    def go_to(self, position: Position) -> None:
        """Say where the ``tensors`` stand, which were filled from elsewhere."""
        self.position = position
        for state in self._optimizer.state.values():
            state["step"].fill_(position.step)

    def run(self, group: Group) -> Iterator[Progress | None]:
        """Make the training, from where it is to its end: yields after each step, now and then with a report.

        Raises InvalidInput where the loss is not finite any more.
        """
        while not self._ended:
            batches = epoch_batches(self._train.lengths, self._settings.batch_size, self._seed, self._epoch)
            for batch in batches[self.position.step % self._epoch_steps :]:
                rate = self._settings.learning_rate * self._rate
                self._step(batch, group)
                yield self._report(rate, group)
        if self._held_out is not None:
            self._restore_best()
        self._network.eval()

    def metrics(self) -> dict[str, float]:
        """What there is to say at the end: see ``supervised.fit``."""
        found = {
            "examples": float(len(self._train)),
            "steps": float(self.position.step),
            "epochs": float(self._epoch),
            "train_loss": self.position.loss,
        }
        if self._held_out is None:
            return found
        return found | {
            "validation_examples": float(len(self._held_out)),
            "validation_f1": self.position.best_score,
            "best_epoch": float(self.position.best_epoch),
        }

    @property
    def _epoch(self) -> int:
        """Whole epochs made."""
        return self.position.step // self._epoch_steps

    @property
    def _rate(self) -> float:
        return schedule(self.position.step, self._last_step, self._settings.warmup)

    @property
    def _ended(self) -> bool:
        """Asked between epochs: all made, or the last ones brought no better validation."""
        waited = self._epoch - self.position.best_epoch
        stale = self._held_out is not None and waited >= self._settings.patience
        return self.position.step >= self._last_step or (self.position.step % self._epoch_steps == 0 and stale)

    def _step(self, batch: list[Rows], group: Group) -> None:
        """One step, of which each worker computes its micro-batches.

        Dropout is seeded by the micro-batch, so it is the same whoever computes it.
        """
        step, weight = self.position.step, self._train.weight(np.concatenate(batch))
        total = torch.zeros_like(self._loss)
        self._network.train()
        for number in range(group.rank, len(batch), group.size):
            rows = batch[number]
            torch.manual_seed(derive_seed("dropout", self._seed, step, number))
            loss = self._train.loss(self._network([self._train.ids[row] for row in rows]), rows) / weight
            loss.backward()  # type: ignore[no-untyped-call]
            total += loss.detach()
        self._update(total, group)
        self._loss += total
        self.position = replace(self.position, step=step + 1)

    def _update(self, loss: Tensor, group: Group) -> None:
        parameters = list(self._network.trained().values())
        if group.size > 1:
            for parameter in parameters:
                if parameter.grad is None:  # no micro-batch was left for this worker
                    parameter.grad = torch.zeros_like(parameter)
            group.sum([*(p.grad for p in parameters if p.grad is not None), loss])
        clip(parameters, self._settings.max_gradient_norm)
        for part in self._optimizer.param_groups:
            part["lr"] = part["highest"] * self._rate
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)

    def _report(self, rate: float, group: Group) -> Progress | None:
        """After a step: the report that is due."""
        step = self.position.step
        within = (step - 1) % self._epoch_steps + 1
        if within % REPORT_STEPS and within != self._epoch_steps:
            return None
        loss = float(self._loss) / ((within - 1) % REPORT_STEPS + 1)
        if not math.isfinite(loss):
            raise InvalidInput(
                f"the training's loss is {loss} in step {step}: lower classifier.fine_tuning.learning_rate"
            )
        self._loss.zero_()
        self.position = replace(self.position, loss=loss)
        validation = None
        if self._held_out is not None and within == self._epoch_steps:
            validation = self._validate(self._held_out, group)
        return Progress(step, self._last_step, (step - 1) // self._epoch_steps + 1, loss, rate, validation)

    def _validate(self, held: Examples, group: Group) -> dict[str, float]:
        """How well the held out are told. Better than ever (by F1; of equals, by loss), the weights are kept."""
        self._network.eval()
        sums = torch.zeros(3, device=device())
        with torch.no_grad():
            for rows in token_batches(held.lengths)[group.rank :: group.size]:
                sums += held.judge(self._network([held.ids[row] for row in rows]), rows)
        group.sum([sums])
        right, errors, loss = sums.tolist()
        f1 = 2 * right / (2 * right + errors) if right or errors else 1.0
        loss /= held.weight(np.arange(len(held)))
        best = self.position
        if best.best_epoch == 0 or (f1, -loss) > (best.best_score, -best.best_loss):
            self.position = replace(best, best_epoch=self._epoch, best_score=f1, best_loss=loss)
            for name, parameter in self._network.trained().items():
                self.tensors[f"best.{name}"].copy_(parameter.detach())
        return {"f1": f1, "loss": loss}

    def _restore_best(self) -> None:
        with torch.no_grad():
            for name, parameter in self._network.trained().items():
                parameter.copy_(self.tensors[f"best.{name}"])

    def _state(self) -> dict[str, Tensor]:
        """The tensors that change, as they lie in memory."""
        found = {"loss": self._loss}
        for name, parameter in self._network.trained().items():
            moments = self._optimizer.state[parameter]
            moments["step"] = torch.zeros((), device=parameter.device)
            found[f"weight.{name}"] = parameter.detach()
            for moment in ("exp_avg", "exp_avg_sq"):
                found[f"{moment}.{name}"] = moments[moment] = torch.zeros_like(parameter)
            if self._held_out is not None:
                found[f"best.{name}"] = parameter.detach().clone()
        return found


def clip(parameters: Sequence[torch.nn.Parameter], longest: float) -> None:
    """Cut the gradient to this length. One that is short enough is not written again, as torch's own does."""
    norm = torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
    if not norm <= longest:  # or it is not a number, which the loss will tell
        torch.nn.utils.clip_grads_with_norm_(parameters, longest, norm)


def schedule(step: int, steps: int, warmup: float) -> float:
    """Share of the highest learning rate in step ``step`` (from 0) of ``steps``: up in a line, and down to 0."""
    rising = warmup * steps
    if step < rising:
        return (step + 1) / (rising + 1)
    return (steps - step) / (steps - rising + 1)


def make_optimizer(network: Network, settings: FineTuningSpec) -> torch.optim.AdamW:
    """AdamW, with the head's own learning rate, and decay where the network says. ``highest``: see ``schedule``."""
    groups: dict[tuple[float, float], list[torch.nn.Parameter]] = {}
    for name, parameter in network.trained().items():
        rate = settings.head_learning_rate if network.is_head(name) else settings.learning_rate
        decay = settings.weight_decay if network.decays(name, parameter) else 0.0
        groups.setdefault((rate, decay), []).append(parameter)
    return torch.optim.AdamW(
        [
            {"params": parameters, "lr": rate, "highest": rate, "weight_decay": decay}
            for (rate, decay), parameters in groups.items()
        ],
        fused=True,
    )
