"""The one training loop: optimizer, schedule, clipping, checkpoints, resuming, early stopping and workers.

It runs any ``Objective`` and any ``Remembering``, and knows nothing of labels.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import astuple, replace

import numpy as np
import torch
from torch import Tensor

from tornio.errors import InvalidInput
from tornio.models.batching import token_batches
from tornio.models.device import device
from tornio.seeds import derive_seed
from tornio.spec import FineTuningSpec
from tornio.training.batches import MICRO_ROWS, Rows, epoch_batches
from tornio.training.checkpoints import Position, load_checkpoint, save_checkpoint
from tornio.training.group import Group, current_group
from tornio.training.hooks import Hooks, Progress
from tornio.training.network import EncoderNetwork
from tornio.training.objective import Forgetful, Goal, Objective, Remembering, Steps, Stopped, Verdict
from tornio.training.optimizer import clip, make_optimizer, schedule

REPORT_STEPS = 10
"""Steps between two reports. The last step of an epoch is reported in any case."""


def run(
    network: EncoderNetwork,
    objective: Objective | Remembering,
    settings: FineTuningSpec,
    seed: int,
    inputs: str,
    hooks: Hooks,
    micro_rows: int = MICRO_ROWS,
) -> dict[str, float]:
    """Train the network to the end, and return the metrics of ``Training.metrics``.

    ``inputs``: digest of everything that the training depends on. A training that finds a checkpoint of the same digest
    continues from it, and ends as if it had not been interrupted. ``micro_rows``: most examples of a micro-batch, the
    unit that workers share. Every worker calls this with the same arguments.
    Raises InvalidInput where the loss is not finite, and Stopped where the objective raises its alarm.
    """
    group = hooks.group or current_group()
    training = Training(network, objective, settings, seed, micro_rows)
    _begin(training, group, inputs, hooks)
    saved = time.monotonic()
    for progress in training.run(group):
        if group.rank != 0:
            continue
        if progress is not None:
            hooks.report(progress)
        if hooks.checkpoints is not None and time.monotonic() - saved >= hooks.checkpoint_seconds:
            save_checkpoint(hooks.checkpoints, inputs, training.position, training.tensors)
            saved = time.monotonic()
    return training.metrics()


def _begin(training: Training, group: Group, inputs: str, hooks: Hooks) -> None:
    """Put every worker where the last checkpoint is, or all of them at the same beginning."""
    position = None
    if hooks.checkpoints is not None and group.rank == 0:
        position = load_checkpoint(hooks.checkpoints, inputs, training.tensors)
    numbers = torch.tensor(astuple(position or training.position), dtype=torch.float64, device=device())
    group.spread([*training.tensors.values(), numbers])
    step, loss, best_epoch, best_score, best_loss = numbers.tolist()
    training.go_to(Position(int(step), loss, int(best_epoch), best_score, best_loss))


def judged(network: EncoderNetwork, objective: Goal, group: Group) -> Verdict:
    """Judge the held-out examples, which the workers share. Every worker calls this, and gets the same verdict."""
    network.eval()
    sums = torch.zeros(objective.sums, device=device())
    with torch.no_grad():
        for rows in token_batches(list(objective.held_out_lengths))[group.rank :: group.size]:
            sums += objective.judge(network, rows)
    group.sum([sums])
    return objective.verdict(sums.tolist())


class Training:
    """Network, optimizer and position of one training. ``run`` makes its steps.

    ``tensors`` and ``position`` are its whole state: batches and dropout follow from the seed and the step.
    """

    def __init__(
        self,
        network: EncoderNetwork,
        objective: Objective | Remembering,
        settings: FineTuningSpec,
        seed: int,
        micro_rows: int = MICRO_ROWS,
    ) -> None:
        self._network = network
        self._objective: Goal = objective
        self._steps = objective if isinstance(objective, Steps) else Forgetful(objective)
        self._settings = settings
        self._seed = seed
        self._micro_rows = micro_rows
        self._lengths = objective.lengths
        self._held_out = list(objective.held_out_lengths)
        self._epoch_steps = -(-len(self._lengths) // settings.batch_size)
        self._last_step = settings.epochs * self._epoch_steps
        self._optimizer = make_optimizer(network, settings)
        self._loss = torch.zeros(1, device=device())
        self._memory = torch.zeros(self._steps.remembered, device=device())
        self.position = Position()
        self.tensors = self._state()

    def go_to(self, position: Position) -> None:
        """Set the position that the ``tensors`` belong to, after they were filled from elsewhere."""
        self.position = position
        for state in self._optimizer.state.values():
            state["step"].fill_(position.step)

    def run(self, group: Group) -> Iterator[Progress | None]:
        """Train from the current position to the end. Yields after each step: a report where one is due, else None.

        Raises InvalidInput where the loss is not finite, and Stopped where the objective raises its alarm.
        """
        while not self._ended:
            size, rows = self._settings.batch_size, self._micro_rows
            batches = epoch_batches(self._lengths, size, self._seed, self._epoch, rows)
            for batch in batches[self.position.step % self._epoch_steps :]:
                rate = self._settings.learning_rate * self._rate
                self._step(batch, group)
                self._watch()
                yield self._report(rate, group)
        if self._held_out:
            self._restore_best()
        self._network.eval()

    def metrics(self) -> dict[str, float]:
        """Return examples, steps, epochs, train_loss and what the objective measured; with held-out examples also
        validation_examples, best_epoch and the score of that epoch."""
        metrics = {
            "examples": float(len(self._lengths)),
            "steps": float(self.position.step),
            "epochs": float(self._epoch),
            "train_loss": self.position.loss,
            **self._steps.measured(self._memory),
        }
        if not self._held_out:
            return metrics
        return metrics | {
            "validation_examples": float(len(self._held_out)),
            f"validation_{self._objective.score_name}": self.position.best_score,
            "best_epoch": float(self.position.best_epoch),
        }

    @property
    def _epoch(self) -> int:
        """How many whole epochs are done."""
        return self.position.step // self._epoch_steps

    @property
    def _rate(self) -> float:
        return schedule(self.position.step, self._last_step, self._settings.warmup)

    @property
    def _ended(self) -> bool:
        """Whether all epochs are done, or the last ones brought no better validation. Checked between epochs."""
        waited = self._epoch - self.position.best_epoch
        stale = bool(self._held_out) and waited >= self._settings.patience
        return self.position.step >= self._last_step or (self.position.step % self._epoch_steps == 0 and stale)

    def _step(self, batch: list[Rows], group: Group) -> None:
        """Make one step. Each worker computes its own micro-batches.

        Random numbers are seeded by the micro-batch, so they are the same on whichever worker computes it.
        """
        step, weight = self.position.step, self._objective.weight(np.concatenate(batch))
        total, seen, done = torch.zeros_like(self._loss), torch.zeros_like(self._memory), step / self._last_step
        self._network.train()
        for number in range(group.rank, len(batch), group.size):
            torch.manual_seed(derive_seed("dropout", self._seed, step, number))
            loss, saw = self._steps.loss_and_seen(self._network, batch[number], done, self._memory)
            loss = loss / weight
            loss.backward()  # type: ignore[no-untyped-call]
            total += loss.detach()
            seen += saw
        self._update([total, seen], group)
        self._loss += total
        self._memory.copy_(self._steps.remember(self._memory, seen))
        self.position = replace(self.position, step=step + 1)

    def _watch(self) -> None:
        step = self.position.step
        why = self._steps.alarm(self._memory) if step % REPORT_STEPS == 0 else None
        if why is not None:
            raise Stopped(f"step {step} of {self._last_step}: {why}")

    def _update(self, sums: list[Tensor], group: Group) -> None:
        """Make the optimizer's step, and add up the sums over the workers."""
        parameters = list(self._network.trained().values())
        for parameter in parameters:
            if parameter.grad is None:  # this worker had no micro-batch, or the objective does not use the parameter
                parameter.grad = torch.zeros_like(parameter)
        if group.size > 1:
            group.sum([*(p.grad for p in parameters if p.grad is not None), *sums])
        clip(parameters, self._settings.max_gradient_norm)
        for part in self._optimizer.param_groups:
            part["lr"] = part["highest"] * self._rate
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)

    def _report(self, rate: float, group: Group) -> Progress | None:
        """Return the report that is due after a step, or None."""
        step = self.position.step
        within = (step - 1) % self._epoch_steps + 1
        if within % REPORT_STEPS and within != self._epoch_steps:
            return None
        loss = float(self._loss) / ((within - 1) % REPORT_STEPS + 1)
        if not math.isfinite(loss):
            raise InvalidInput(
                f"the training's loss is {loss} in step {step}: lower classifier.fine_tuning.learning_rate "
                "(of an adaptation, or a method that has one: its own learning_rate)"
            )
        self._loss.zero_()
        self.position = replace(self.position, loss=loss)
        validation = None
        if self._held_out and within == self._epoch_steps:
            validation = self._validate(group)
        return Progress(step, self._last_step, (step - 1) // self._epoch_steps + 1, loss, rate, validation)

    def _validate(self, group: Group) -> dict[str, float]:
        """Judge the held-out examples. Keep the weights where the score is the best so far, and of equal scores where
        the loss is the lowest."""
        verdict, best = judged(self._network, self._objective, group), self.position
        if best.best_epoch == 0 or (verdict.score, -verdict.loss) > (best.best_score, -best.best_loss):
            self.position = replace(best, best_epoch=self._epoch, best_score=verdict.score, best_loss=verdict.loss)
            for name, parameter in self._network.trained().items():
                self.tensors[f"best.{name}"].copy_(parameter.detach())
        return {self._objective.score_name: verdict.score, "loss": verdict.loss}

    def _restore_best(self) -> None:
        with torch.no_grad():
            for name, parameter in self._network.trained().items():
                parameter.copy_(self.tensors[f"best.{name}"])

    def _state(self) -> dict[str, Tensor]:
        """Return the tensors that training changes, not copies of them."""
        state = {"loss": self._loss}
        if len(self._memory):
            state["memory"] = self._memory
        for name, parameter in self._network.trained().items():
            moments = self._optimizer.state[parameter]
            moments["step"] = torch.zeros((), device=parameter.device)
            state[f"weight.{name}"] = parameter.detach()
            for moment in ("exp_avg", "exp_avg_sq"):
                state[f"{moment}.{name}"] = moments[moment] = torch.zeros_like(parameter)
            if self._held_out:
                state[f"best.{name}"] = parameter.detach().clone()
        return state
