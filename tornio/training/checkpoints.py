"""Where an interrupted training goes on: safetensors and JSON, nothing that is unpickled."""

from __future__ import annotations

import json
import logging
import math
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from tornio.storage.port import ObjectStore

log = logging.getLogger(__name__)
TENSORS_FILE = "state.safetensors"
POSITION_FILE = "state.json"
SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Position:
    """How far a training is. Batches and dropout follow from seed and step, so there is no other state than this and
    the tensors (weights, AdamW's moments, and the best weights where early stopping is at work).

    ``loss``: the mean that was told last; ``best_score`` and ``best_loss`` of ``best_epoch`` (from 1;
    0: none yet).
    """

    step: int = 0
    loss: float = math.nan
    best_epoch: int = 0
    best_score: float = 0.0
    best_loss: float = 0.0


class CheckpointStore(Protocol):
    """Where checkpoints of one training live."""

    def put(self, step: int, folder: Path) -> None:
        """Keep the files of this folder; earlier ones may go."""

    def fetch(self, folder: Path) -> bool:
        """Write the files of the last that is whole into this folder; False: there is none."""


class StoredCheckpoints:
    """The ``CheckpointStore`` under a prefix of the object store: ``{prefix}{step}/``, the last one alone."""

    def __init__(self, store: ObjectStore, prefix: str) -> None:
        self._store = store
        self._prefix = prefix

    def put(self, step: int, folder: Path) -> None:
        before = [info.key for info in self._store.list(self._prefix)]
        own = f"{self._prefix}{step:010d}/"
        for name in (TENSORS_FILE, POSITION_FILE):  # the small one last: where it is, both are
            self._store.upload(folder / name, own + name)
        self._store.delete(key for key in before if not key.startswith(own))

    def fetch(self, folder: Path) -> bool:
        whole = [info.key for info in self._store.list(self._prefix) if info.key.endswith("/" + POSITION_FILE)]
        if not whole:
            return False
        for name in (TENSORS_FILE, POSITION_FILE):
            self._store.download(max(whole).removesuffix(POSITION_FILE) + name, folder / name)
        return True

    def clear(self) -> None:
        """Remove them all: the training is done."""
        self._store.delete([info.key for info in self._store.list(self._prefix)])


def save_checkpoint(store: CheckpointStore, inputs: str, position: Position, tensors: Mapping[str, Tensor]) -> None:
    """Write down where a training stands. ``inputs``: digest of all that it depends on."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save_file({key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()}, folder / TENSORS_FILE)
        (folder / POSITION_FILE).write_text(json.dumps({"schema": SCHEMA, "inputs": inputs, **asdict(position)}))
        store.put(position.step, folder)


def load_checkpoint(store: CheckpointStore, inputs: str, tensors: Mapping[str, Tensor]) -> Position | None:
    """Fill these tensors from the last checkpoint and say where it stands; None, and they are as before, where there
    is none. One that is damaged or of other inputs is left alone, which the log tells: training anew is right, only
    longer."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if not store.fetch(folder):
            return None
        try:
            values = json.loads((folder / POSITION_FILE).read_text())
            if (values.pop("schema"), values.pop("inputs")) != (SCHEMA, inputs):
                log.warning("the training's checkpoint is of other data, settings or release: it begins anew")
                return None
            position, found = Position(**values), load_file(folder / TENSORS_FILE)
        except (KeyError, ValueError, TypeError, SafetensorError) as error:
            log.warning("the training's checkpoint cannot be read (%s): it begins anew", error)
            return None
    if _shapes(found) != _shapes(tensors):
        log.warning("the training's checkpoint is of another network: it begins anew")
        return None
    for key, tensor in tensors.items():
        tensor.copy_(found[key])
    return position


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {key: tuple(tensor.shape) for key, tensor in tensors.items()}
