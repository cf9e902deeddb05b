"""Creates versions to test with: valid ones, and ones that are broken in every way that a replica must detect."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from tornio.models.fewshot import FewShotModel
from tornio.models.finetuned import FineTunedModel, use_of, write_model
from tornio.models.head import CONFIG_FILE, WEIGHTS_FILE, LinearHead
from tornio.models.kinds import FEW_SHOT, FINE_TUNED
from tornio.models.loading import Loader
from tornio.models.port import Model
from tornio.models.probes import make_probes
from tornio.models.sources import resolve_encoder
from tornio.registry import CANDIDATE, CURRENT, NodeCache, Registry
from tornio.schemas import keys
from tornio.schemas.keys import TaskKeys
from tornio.schemas.registry import Alias, EncoderUse, Manifest
from tornio.spec import TaskSpec
from tornio.storage.port import ObjectStore
from tornio.tasks import Tasks

LABELS = ("billing", "bug", "praise")
FULL_NAME = "support/tickets"


def tiny_bert(seed: int) -> Any:
    """Return a BERT of two narrow layers with random weights."""
    import torch
    from transformers import BertConfig, BertModel

    torch.manual_seed(seed)
    return BertModel(BertConfig(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64))


def tiny_encoder(folder: Path) -> Path:
    """Create a BERT of two narrow layers with random weights and MiniLM's tokenizer, which loads quickly."""
    tiny_bert(0).save_pretrained(folder)
    source = resolve_encoder("minilm").folder
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "special_tokens_map.json"):
        shutil.copy(source / name, folder / name)
    return folder


@dataclass(frozen=True)
class Workshop:
    """One task and its registry."""

    store: ObjectStore
    loader: Loader
    encoder: str
    """As in task.yaml: a local folder, or ``minilm``."""
    task: str = FULL_NAME

    @classmethod
    def over(cls, store: ObjectStore, cache_dir: Path, encoder: str, task: str = FULL_NAME) -> Workshop:
        workspace, _, name = task.partition("/")
        Tasks(store).apply(TaskSpec.model_validate({"workspace": workspace, "name": name, "labels": LABELS}), "test")
        return cls(store, Loader(store, NodeCache(cache_dir, store), "float32"), encoder, task)

    @property
    def registry(self) -> Registry:
        return Registry(self.store, self.keys)

    @property
    def keys(self) -> TaskKeys:
        workspace, _, name = self.task.partition("/")
        return TaskKeys(workspace, name)

    def publish(
        self,
        version: str,
        favourite: int = 0,
        change: Callable[[Manifest], Manifest] = lambda manifest: manifest,
        damage: Callable[[Path], None] = lambda folder: None,
    ) -> Manifest:
        """Publish a version that predicts ``LABELS[favourite]`` for everything. No two versions share a blob.

        ``damage`` changes the model's folder after the probes were made; ``change`` changes the manifest.
        """
        use = self.loader.encoder_use(self.encoder, 64)
        encoder = self.loader.encoder(use)
        noise = np.random.default_rng(list(version.encode()))
        weight = noise.normal(scale=0.01, size=(len(LABELS), encoder.dimension)).astype(np.float32)
        bias = np.array([8.0 if index == favourite else 0.0 for index in range(len(LABELS))], dtype=np.float32)
        model = FewShotModel(LinearHead(LABELS, False, weight, bias), use, encoder)
        with tempfile.TemporaryDirectory() as folder:
            model.save(Path(folder))
            damage(Path(folder))
            return self.registry.publish(change(self._manifest(version, FEW_SHOT, use, model)), Path(folder))

    def publish_fine_tuned(self, version: str, seed: int) -> Manifest:
        """Publish a version with an encoder of its own: a BERT of two narrow layers with random weights, of 4 MB."""
        base = self.loader.encoder_use(self.encoder, 64)
        use = use_of(base)
        noise = np.random.default_rng(seed)
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            body = tiny_bert(seed)
            weight = noise.normal(size=(len(LABELS), body.config.hidden_size)).astype(np.float32)
            head = LinearHead(LABELS, False, weight, np.zeros(len(LABELS), np.float32))
            write_model(folder, body, head, self.loader.base_folder(base))
            model = FineTunedModel.load(folder, use, self.loader.precision)
            return self.registry.publish(self._manifest(version, FINE_TUNED, use, model), folder)

    def _manifest(self, version: str, kind: str, use: EncoderUse, model: Model) -> Manifest:
        workspace, _, name = self.task.partition("/")
        return Manifest(
            version=version,
            workspace=workspace,
            task=name,
            kind=kind,
            generation=1,
            iteration=1,
            labels=LABELS,
            label_set_rev=1,
            multi_label=False,
            encoder=use,
            blobs={},
            probes=make_probes(model, self.loader.precision),
            run="train-test",
            label_seq=1,
            pool_seq=1,
            spec_rev=1,
            seed=0,
            software={},
            created_at=datetime.now(UTC),
        )

    def move(self, alias: str, version: str) -> Alias:
        present = self.registry.alias(alias)
        return self.registry.move(alias, version, present.revision if present else 0, "test", "test")

    def candidate(self, version: str) -> Alias:
        return self.move(CANDIDATE, version)

    def promote(self, version: str) -> Alias:
        return self.move(CURRENT, version)

    # Broken versions, one method per defect

    def corrupt(self, version: str) -> None:
        """Publish a version whose head has one wrong bit in the store."""
        self._rewrite_head(version, lambda body: body[:-1] + bytes([body[-1] ^ 1]))

    def truncated(self, version: str) -> None:
        """Publish a version whose head lacks its second half in the store."""
        self._rewrite_head(version, lambda body: body[: len(body) // 2])

    def not_a_number(self, version: str) -> None:
        """Publish a version whose head contains NaN; digests are correct."""
        self.publish(version, damage=_poison)

    def other_labels(self, version: str) -> None:
        """Publish a version whose head has labels that the manifest does not name."""
        self.publish(version, damage=lambda folder: _relabel(folder, ("spam", "ham", "eggs")))

    def another_tasks(self, version: str) -> None:
        """Publish a version whose head and manifest agree on labels that the task never had."""
        self.publish(
            version,
            change=lambda manifest: manifest.evolve(labels=("spam", "ham", "eggs")),
            damage=lambda folder: _relabel(folder, ("spam", "ham", "eggs")),
        )

    def failing_probe(self, version: str) -> None:
        """Publish a version with another head than its probes were made with; digests are correct."""
        self.publish(version, damage=_turn_round)

    def _rewrite_head(self, version: str, change: Callable[[bytes], bytes]) -> None:
        key = keys.blob(self.publish(version).blobs[WEIGHTS_FILE].sha256)
        self.store.put(key, change(self.store.get(key).body))


BROKEN = ("corrupt", "truncated", "not_a_number", "other_labels", "another_tasks", "failing_probe")
"""Methods of ``Workshop`` that publish a broken version."""


def _poison(folder: Path) -> None:
    arrays = load_file(folder / WEIGHTS_FILE)
    arrays["weight"][0, 0] = np.nan
    save_file(arrays, folder / WEIGHTS_FILE)


def _turn_round(folder: Path) -> None:
    arrays = load_file(folder / WEIGHTS_FILE)
    save_file({name: np.ascontiguousarray(array[::-1]) for name, array in arrays.items()}, folder / WEIGHTS_FILE)


def _relabel(folder: Path, labels: tuple[str, ...]) -> None:
    config = json.loads((folder / CONFIG_FILE).read_text())
    (folder / CONFIG_FILE).write_text(json.dumps({**config, "labels": labels}))
