"""Fine-tune an encoder together with its head: plain PyTorch, alone or with several workers, from labels alone."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import astuple
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from tornio.arrays import FloatMatrix, IntArray
from tornio.errors import InvalidInput
from tornio.models.batching import token_batches
from tornio.models.device import device
from tornio.models.device import precision as precision_for
from tornio.models.finetuned import FineTunedModel, use_of, write_model
from tornio.models.head import LinearHead
from tornio.models.tokens import Tokenizer
from tornio.schemas.registry import EncoderUse
from tornio.seeds import derive_seed
from tornio.spec import FineTuningSpec
from tornio.training.checkpoints import CheckpointStore, Position, load_checkpoint, save_checkpoint
from tornio.training.examples import Examples
from tornio.training.fewshot import fit_few_shot
from tornio.training.group import Group, current_group
from tornio.training.network import Network
from tornio.training.steps import Progress, Training
from tornio.training.targets import UNSEEN_LOGIT, check_sufficient, indicators, stratified_folds

__all__ = ["Progress", "fit"]


def fit(
    texts: Sequence[str],
    labels: Sequence[tuple[str, ...]],
    label_names: Sequence[str],
    multi_label: bool,
    base: Path,
    use: EncoderUse,
    out: Path,
    settings: FineTuningSpec,
    seed: int,
    *,
    precision: str = "auto",
    report: Callable[[Progress], None] = lambda _: None,
    checkpoints: CheckpointStore | None = None,
    checkpoint_seconds: float = 60.0,
    group: Group | None = None,
) -> FineTunedModel | None:
    """The model that these examples make of a base; the same for the same input in the same order.

    ``labels``: of each text, exactly one each unless ``multi_label``. ``base``: folder of a transformers encoder;
    ``use``: how it is used (pooling, length). ``out``: an empty folder, which becomes the model's. ``report`` and
    ``checkpoints`` are called by rank 0 alone; a training that finds a checkpoint of its own inputs goes on from there
    and ends as if nothing had happened. ``group``: default ``current_group``; every worker calls this with the same
    arguments, and rank 0 gets the model, the others None. One worker and several compute the same sums, so they differ
    by rounding alone.

    AdamW (Loshchilov and Hutter 2019) with bias correction, linear warm-up and decay, clipped gradients, several
    passes over few labels: Mosbach et al. (2021), "On the Stability of Fine-tuning BERT", section 6. A head that
    starts as the regression on the frozen encoder: Kumar et al. (2022), "Fine-Tuning can Distort Pretrained Features".
    The head's ``metrics``: examples, steps, epochs, train_loss, and with early stopping validation_examples,
    best_epoch and its validation_f1 (micro-averaged: with one label each the accuracy).

    Raises InvalidInput for labels that are not the task's, no examples, labels that are all the same, and where the
    loss is not finite any more.
    """
    group = group or current_group()
    Y = indicators(labels, label_names, multi_label)
    if len(texts) != len(Y):
        raise ValueError(f"{len(texts)} texts for {len(Y)} rows of labels")
    check_sufficient(Y, label_names, multi_label)
    always = np.asarray(Y.all(axis=0), dtype=bool)
    told_apart = np.asarray(Y.any(axis=0), dtype=bool) & ~always
    if not told_apart.any():
        raise InvalidInput(f"all {len(Y)} training records have the same labels: label records that differ")
    ids = Tokenizer(base, use.max_length).encode(texts).ids
    examples = Examples(
        ids,
        torch.from_numpy(Y[:, told_apart].astype(np.float32)),
        torch.from_numpy(_class_weights(Y[:, told_apart], settings.class_weights)),
        multi_label,
    )
    held = _held_out(Y, settings, seed)
    train = examples.select(np.flatnonzero(~held))
    devices = [torch.cuda.current_device()] if device().type == "cuda" else []
    with torch.random.fork_rng(devices), torch.enable_grad():
        torch.manual_seed(derive_seed("head", seed))
        network = Network(base, use.pooling, int(told_apart.sum()), precision_for(precision))
        network.narrow(ids)
        if settings.head_start == "logistic-regression" and group.rank == 0:
            _start_head(network, train, seed)
        validation = examples.select(np.flatnonzero(held)) if held.any() else None
        training = Training(network, train, validation, settings, seed)
        inputs = _digest(ids, Y, use, settings, seed, precision_for(precision))
        _begin(training, group, checkpoints, inputs)
        _advance(training, group, report, checkpoints, checkpoint_seconds, inputs)
    if group.rank != 0:
        return None
    weight, bias = _whole_head(network, told_apart, always)
    network.widen()
    write_model(out, network.body, LinearHead(tuple(label_names), multi_label, weight, bias), base)
    return FineTunedModel.load(out, use_of(use), precision).with_metrics(training.metrics())


def _begin(training: Training, group: Group, checkpoints: CheckpointStore | None, inputs: str) -> None:
    """Let every worker stand where the last checkpoint does, or all at the same beginning."""
    found = None
    if checkpoints is not None and group.rank == 0:
        found = load_checkpoint(checkpoints, inputs, training.tensors)
    at = found or training.position
    numbers = torch.tensor(astuple(at), dtype=torch.float64, device=device())
    group.spread([*training.tensors.values(), numbers])
    step, loss, best_epoch, best_score, best_loss = numbers.tolist()
    training.go_to(Position(int(step), loss, int(best_epoch), best_score, best_loss))


def _advance(
    training: Training,
    group: Group,
    report: Callable[[Progress], None],
    checkpoints: CheckpointStore | None,
    checkpoint_seconds: float,
    inputs: str,
) -> None:
    """Run the training to its end; rank 0 reports and keeps checkpoints."""
    kept = time.monotonic()
    for progress in training.run(group):
        if group.rank != 0:
            continue
        if progress is not None:
            report(progress)
        if checkpoints is not None and time.monotonic() - kept >= checkpoint_seconds:
            save_checkpoint(checkpoints, inputs, training.position, training.tensors)
            kept = time.monotonic()


def _class_weights(Y: IntArray, wish: str) -> NDArray[np.float32]:
    """float32 [labels], 1 on average over the examples."""
    counts = Y.sum(axis=0)
    weights = len(Y) / (len(counts) * counts) if wish == "balanced" else np.ones(len(counts))
    return np.asarray(weights, dtype=np.float32)


def _held_out(Y: IntArray, settings: FineTuningSpec, seed: int) -> NDArray[np.bool_]:
    """bool [n]: the examples that only tell when to stop; none where there are too few. None that is the only one of
    its label."""
    if len(Y) < settings.validation_from:
        return np.zeros(len(Y), dtype=bool)
    held = np.asarray(stratified_folds(Y, round(1 / settings.validation_share), seed) == 0, dtype=bool)
    for column in Y.T == 1:
        if not column[~held].any():
            held &= ~column
    return held


def _start_head(network: Network, train: Examples, seed: int) -> None:
    """Let the head be the few-shot head on the vectors that the encoder gives now."""
    network.eval()
    vectors = np.empty((len(train), network.head.in_features), dtype=np.float32)
    with torch.no_grad():
        for rows in token_batches(train.lengths):
            vectors[rows] = network.pooled([train.ids[row] for row in rows]).cpu().numpy()
        names = [str(column) for column in range(network.head.out_features)]
        labels = [tuple(name for name, on in zip(names, row, strict=True) if on) for row in train.targets.tolist()]
        head = fit_few_shot(vectors, labels, names, train.multi_label, seed)
        network.head.weight.copy_(torch.from_numpy(head.weight))
        network.head.bias.copy_(torch.from_numpy(head.bias))


def _whole_head(
    network: Network, told_apart: NDArray[np.bool_], always: NDArray[np.bool_]
) -> tuple[FloatMatrix, NDArray[np.float32]]:
    """Weight [labels, dim] and bias [labels], with the labels that no example or every example has."""
    weight = np.zeros((len(told_apart), network.head.in_features), dtype=np.float32)
    bias = np.where(always, -UNSEEN_LOGIT, UNSEEN_LOGIT).astype(np.float32)
    weight[told_apart] = network.head.weight.detach().cpu().numpy()
    bias[told_apart] = network.head.bias.detach().cpu().numpy()
    return weight, bias


def _digest(
    ids: Sequence[NDArray[np.int64]], Y: IntArray, use: EncoderUse, settings: FineTuningSpec, seed: int, precision: str
) -> str:
    """Of all that the training depends on."""
    digest = hashlib.sha256(Y.tobytes())
    for row in ids:
        digest.update(row.tobytes() + b"\0")
    rest = [use.model_dump(mode="json"), settings.model_dump(mode="json"), seed, precision]
    digest.update(json.dumps(rest, sort_keys=True).encode())
    return digest.hexdigest()
