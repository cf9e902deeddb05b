"""Adapt an encoder to texts: the project's one training loop, with an objective that needs no labels."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from fnmatch import fnmatch
from pathlib import Path

import torch

from tornio.models.device import gpus
from tornio.models.device import precision as precision_for
from tornio.models.folder import is_tokenizer_file
from tornio.models.tokens import Tokenizer
from tornio.schemas.registry import EncoderUse
from tornio.seeds import derive_seed
from tornio.spec import FineTuningSpec
from tornio.training.adapting.objectives import ADAPTATIONS
from tornio.training.adapting.preparing import Base
from tornio.training.adapting.texts import Split
from tornio.training.checkpoints import inputs_digest
from tornio.training.data import TokenIds
from tornio.training.group import current_group
from tornio.training.hooks import Hooks
from tornio.training.loop import judged, run

NEW_HEAD_RATE = 1e-3
"""Highest learning rate of a head that starts with random weights. One that the base brings learns as the base does."""
_SENTENCE_FILES = ("modules.json", "sentence_bert_config.json", "*_Pooling")
"""Files that say how vectors are pooled."""


@dataclass(frozen=True, slots=True)
class Settings:
    """``objective``: an entry of ``ADAPTATIONS``. ``epochs``: passes over the texts, at most. ``batch_size``: texts of
    a step. ``learning_rate``: the highest. ``whole_words``: of masked-language. ``patience``: epochs without a better
    held-out loss after which the training ends."""

    objective: str
    epochs: int
    batch_size: int
    learning_rate: float
    whole_words: bool = False
    patience: int = 1


@dataclass(frozen=True, slots=True)
class Adapted:
    """``new_head``: the base had no masked-language head and got one. ``metrics``: those of ``loop.Training.metrics``,
    and ``validation_before`` and ``validation_after``, the losses of the held-out texts."""

    new_head: bool
    metrics: Mapping[str, float]


def adapt(
    texts: Split,
    base: Path,
    use: EncoderUse,
    out: Path,
    settings: Settings,
    seed: int,
    *,
    precision: str = "auto",
    hooks: Hooks | None = None,
) -> Adapted | None:
    """Write the encoder that these texts make of a base into ``out``, an empty folder, in transformers' layout.

    The same input in the same order gives the same files. ``use``: how the base is used (pooling, length). Every worker
    of ``hooks.group`` calls this with the same arguments; rank 0 gets the result, the others get None. The weights are
    those of the epoch whose held-out loss was the lowest.

    Raises InvalidInput for an encoder that the objective cannot train, and where the loss is not finite.
    """
    hooks = hooks or Hooks()
    group = hooks.group or current_group()
    tokenizer = Tokenizer(base, use.max_length)
    train, held_out = tokenizer.encode(texts.train).ids, tokenizer.encode(texts.held_out).ids
    computed_in = precision_for(precision)
    with torch.random.fork_rng(gpus()), torch.enable_grad():
        torch.manual_seed(derive_seed("head", seed))
        prepare = ADAPTATIONS[settings.objective].prepare
        prepared = prepare(Base(base, use.pooling, computed_in), train, held_out, seed, settings.whole_words)
        network, objective = prepared.network, prepared.objective
        before = judged(network, objective, group)
        inputs = _digest([*train, *held_out], objective.name, use, settings, seed, computed_in)
        tuning = _tuning(settings, network.new_head)
        metrics = run(network, objective, tuning, seed, inputs, hooks, prepared.micro_rows)
        after = judged(network, objective, group)
    if group.rank != 0:
        return None
    network.write(out)
    _copy_rest(base, out)
    return Adapted(network.new_head, metrics | {"validation_before": before.loss, "validation_after": after.loss})


def _tuning(settings: Settings, new_head: bool) -> FineTuningSpec:
    """Return what the loop is set to."""
    return FineTuningSpec(
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
        head_learning_rate=max(NEW_HEAD_RATE, settings.learning_rate) if new_head else settings.learning_rate,
        patience=settings.patience,
    )


def _copy_rest(base: Path, out: Path) -> None:
    """Copy tokenizer and pooling, which an adaptation does not change."""
    for path in base.iterdir():
        if is_tokenizer_file(path.name) or any(fnmatch(path.name, pattern) for pattern in _SENTENCE_FILES):
            if path.is_dir():
                (out / path.name).mkdir()
                shutil.copyfile(path / "config.json", out / path.name / "config.json")
            else:
                shutil.copyfile(path, out / path.name)


def _digest(ids: list[TokenIds], objective: str, use: EncoderUse, settings: Settings, seed: int, precision: str) -> str:
    """Return the digest of everything that the training depends on."""
    rest = [objective, use.model_dump(mode="json"), asdict(settings), seed, precision]
    return inputs_digest(b"", ids, rest)
