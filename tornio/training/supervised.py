"""Fine-tune an encoder together with its head: plain PyTorch, with one worker or several."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from tornio.arrays import FloatMatrix
from tornio.models.batching import token_batches
from tornio.models.decide import decide_labels
from tornio.models.device import device
from tornio.models.device import precision as precision_for
from tornio.models.finetuned import FineTunedModel, use_of, write_model
from tornio.models.head import LinearHead
from tornio.models.tokens import Tokenizer
from tornio.schemas.registry import EncoderUse
from tornio.seeds import derive_seed
from tornio.spec import FineTuningSpec
from tornio.training.data import Data, prepare
from tornio.training.fewshot import fit_few_shot
from tornio.training.group import current_group
from tornio.training.hooks import Hooks
from tornio.training.loop import run
from tornio.training.network import Network
from tornio.training.objective import CrossEntropy, Objective
from tornio.training.targets import UNSEEN_LOGIT, Labelled

__all__ = ["fit"]


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
    objective: Callable[[Data], Objective] = CrossEntropy.of,
    unlabelled: Sequence[str] = (),
) -> FineTunedModel | None:
    """Return the model that these examples make of a base encoder. The same input in the same order gives the same
    model.

    ``base``: folder of a transformers encoder. ``use``: how it is used (pooling, length). ``out``: an empty folder,
    which becomes the model's. ``objective``: makes the objective from the data. ``unlabelled``: texts that the
    objective may use. Every worker of ``hooks.group`` calls this with the same arguments; rank 0 gets the model, the
    others get None. One worker and several compute the same sums, so their results differ by rounding only.

    AdamW (Loshchilov and Hutter 2019) with bias correction, linear warm-up and decay, clipped gradients, several
    passes over few labels: Mosbach et al. (2021), "On the Stability of Fine-tuning BERT", section 6. A head that
    starts as the regression on the frozen encoder: Kumar et al. (2022), "Fine-Tuning can Distort Pretrained Features".
    The head's ``metrics`` are those of ``loop.Training.metrics``; with the default objective the score is
    validation_f1, micro-averaged, which is the accuracy where each text has one label.

    Raises InvalidInput for no examples, for labels that are all the same, and where the loss is not finite.
    """
    hooks = hooks or Hooks()
    group = hooks.group or current_group()
    data = prepare(labelled, label_names, multi_label, Tokenizer(base, use.max_length), settings, seed, unlabelled)
    goal = objective(data)
    devices = [torch.cuda.current_device()] if device().type == "cuda" else []
    with torch.random.fork_rng(devices), torch.enable_grad():
        torch.manual_seed(derive_seed("head", seed))
        network = Network(base, use.pooling, int(data.learned.sum()), precision_for(precision))
        network.narrow(data.ids)
        if settings.head_start == "logistic-regression" and group.rank == 0:
            _start_head(network, data, seed)
        inputs = _digest(data, goal.name, use, settings, seed, precision_for(precision))
        metrics = run(network, goal, settings, seed, inputs, hooks)
    if group.rank != 0:
        return None
    weight, bias = _whole_head(network, data)
    network.widen()
    write_model(out, network.body, LinearHead(tuple(label_names), multi_label, weight, bias), base)
    return FineTunedModel.load(out, use_of(use), precision).with_metrics(metrics)


def _start_head(network: Network, data: Data, seed: int) -> None:
    """Set the head to the few-shot head on the vectors that the encoder gives before training."""
    network.eval()
    train = data.train
    vectors = np.empty((len(train), network.head.in_features), dtype=np.float32)
    with torch.no_grad():
        for rows in token_batches(train.lengths):
            vectors[rows] = network.pooled([train.ids[row] for row in rows]).cpu().numpy()
        names = [str(column) for column in range(network.head.out_features)]
        labels = decide_labels(train.targets.numpy(), names, data.multi_label)
        head = fit_few_shot(vectors, labels, names, data.multi_label, seed, weights=train.weights.numpy())
        network.head.weight.copy_(torch.from_numpy(head.weight))
        network.head.bias.copy_(torch.from_numpy(head.bias))


def _whole_head(network: Network, data: Data) -> tuple[FloatMatrix, NDArray[np.float32]]:
    """Return weight [labels, dim] and bias [labels], which include the labels that no example or every example has."""
    weight = np.zeros((len(data.learned), network.head.in_features), dtype=np.float32)
    bias = np.where(data.always, -UNSEEN_LOGIT, UNSEEN_LOGIT).astype(np.float32)
    weight[data.learned] = network.head.weight.detach().cpu().numpy()
    bias[data.learned] = network.head.bias.detach().cpu().numpy()
    return weight, bias


def _digest(data: Data, objective: str, use: EncoderUse, settings: FineTuningSpec, seed: int, precision: str) -> str:
    """Return the digest of everything that the training depends on."""
    digest = hashlib.sha256(data.learned.tobytes())
    for examples in filter(None, (data.train, data.held_out)):
        digest.update(examples.targets.numpy().tobytes() + examples.weights.numpy().tobytes())
    for row in data.ids:
        digest.update(row.tobytes() + b"\0")
    rest = [objective, use.model_dump(mode="json"), settings.model_dump(mode="json"), seed, precision]
    digest.update(json.dumps(rest, sort_keys=True).encode())
    return digest.hexdigest()
