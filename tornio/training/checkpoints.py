"""Checkpoints, from which an interrupted training continues: safetensors and JSON, nothing that is unpickled."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
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
    """How far a training is. Batches and dropout follow from seed and step, so the only other state is the tensors:
    weights, AdamW's moments and, with early stopping, the best weights.

    ``loss``: the mean of the last report. ``best_epoch``: counted from 1; 0 means that no epoch was validated yet.
    ``best_score`` and ``best_loss`` are those of ``best_epoch``.
    """

    step: int = 0
    loss: float = math.nan
    best_epoch: int = 0
    best_score: float = 0.0
    best_loss: float = 0.0


class CheckpointStore(Protocol):
    """Where the checkpoints of one training are stored."""

    def put(self, step: int, folder: Path) -> None:
        """Store the files of this folder. Earlier checkpoints may be deleted."""

    def fetch(self, folder: Path) -> bool:
        """Write the files of the last complete checkpoint into this folder. Return False where there is none."""

    def part(self, name: str) -> CheckpointStore:
        """Return the store of a part of the training, such as a round: what it keeps is apart from all others."""

    def clear(self) -> None:
        """Delete all checkpoints, and those of all parts, because the training is done."""


class StoredCheckpoints:
    """The ``CheckpointStore`` under a prefix of the object store: ``{prefix}{step}/``, and ``{prefix}{part}/{step}/``
    for the parts of a training. It keeps the last one of each."""

    def __init__(self, store: ObjectStore, prefix: str) -> None:
        self._store = store
        self._prefix = prefix

    def put(self, step: int, folder: Path) -> None:
        before = self._keys()
        own = f"{self._prefix}{step:010d}/"
        for name in (TENSORS_FILE, POSITION_FILE):  # the small one last: a folder that has it is complete
            self._store.upload(folder / name, own + name)
        self._store.delete(key for key in before if not key.startswith(own))

    def fetch(self, folder: Path) -> bool:
        whole = [key for key in self._keys() if key.endswith("/" + POSITION_FILE)]
        if not whole:
            return False
        for name in (TENSORS_FILE, POSITION_FILE):
            self._store.download(max(whole).removesuffix(POSITION_FILE) + name, folder / name)
        return True

    def part(self, name: str) -> CheckpointStore:
        return StoredCheckpoints(self._store, f"{self._prefix}{name}/")

    def clear(self) -> None:
        self._store.delete([info.key for info in self._store.list(self._prefix)])

    def _keys(self) -> list[str]:
        """Return the keys of the training's own checkpoints, without those of its parts."""
        keys = [info.key for info in self._store.list(self._prefix)]
        return [key for key in keys if key.removeprefix(self._prefix).partition("/")[0].isdigit()]


def inputs_digest(first: bytes, ids: Iterable[NDArray[np.int64]], rest: Sequence[Any]) -> str:
    """Return the digest of everything that a training depends on: the token ids of its texts, ``first``, and ``rest``,
    which JSON can hold."""
    digest = hashlib.sha256(first)
    for row in ids:
        digest.update(row.tobytes() + b"\0")
    digest.update(json.dumps(rest, sort_keys=True).encode())
    return digest.hexdigest()


def save_checkpoint(store: CheckpointStore, inputs: str, position: Position, tensors: Mapping[str, Tensor]) -> None:
    """Save the state of a training. ``inputs``: digest of everything that it depends on."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save_file({key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()}, folder / TENSORS_FILE)
        (folder / POSITION_FILE).write_text(json.dumps({"schema": SCHEMA, "inputs": inputs, **asdict(position)}))
        store.put(position.step, folder)


def load_checkpoint(store: CheckpointStore, inputs: str, tensors: Mapping[str, Tensor]) -> Position | None:
    """Fill these tensors from the last checkpoint and return its position.

    Returns None, and leaves the tensors as they are, where there is no checkpoint. A checkpoint that is damaged or
    belongs to other inputs is ignored with a warning in the log: training from the beginning is correct, but takes
    longer.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if not store.fetch(folder):
            return None
        try:
            values = json.loads((folder / POSITION_FILE).read_text())
            if (values.pop("schema"), values.pop("inputs")) != (SCHEMA, inputs):
                log.warning("The training's checkpoint belongs to other data, settings or release: it starts anew.")
                return None
            position, saved = Position(**values), load_file(folder / TENSORS_FILE)
        except (KeyError, ValueError, TypeError, SafetensorError) as error:
            log.warning("The training's checkpoint cannot be read (%s). It starts from the beginning.", error)
            return None
    if _shapes(saved) != _shapes(tensors):
        log.warning("The training's checkpoint belongs to another network. It starts from the beginning.")
        return None
    for key, tensor in tensors.items():
        tensor.copy_(saved[key])
    return position


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {key: tuple(tensor.shape) for key, tensor in tensors.items()}
