"""The optimizer of a training, its learning rate over the steps, and the clipping of gradients."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from tornio.spec import FineTuningSpec
from tornio.training.network import EncoderNetwork


def make_optimizer(network: EncoderNetwork, settings: FineTuningSpec) -> torch.optim.AdamW:
    """Return AdamW with the head's own learning rate, and with weight decay where the network wants it.

    ``highest`` of a parameter group is its learning rate at the peak of ``schedule``.
    """
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


def schedule(step: int, steps: int, warmup: float) -> float:
    """Return the share of the highest learning rate in step ``step`` (from 0) of ``steps``.

    It rises linearly for the share ``warmup`` of the steps, then falls linearly to 0.
    """
    rising = warmup * steps
    if step < rising:
        return (step + 1) / (rising + 1)
    return (steps - step) / (steps - rising + 1)


def clip(parameters: Sequence[torch.nn.Parameter], longest: float) -> None:
    """Shorten the gradient to this length. A gradient that is short enough is not written again, unlike with torch's
    own function."""
    norm = torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
    if not norm <= longest:  # also true for a norm that is not a number, which the loss will report
        torch.nn.utils.clip_grads_with_norm_(parameters, longest, norm)
