"""The way back from an export: encoder and linear head out of each form. ``READERS`` has the reverse of each of
``writers.FORMS``.

The head that was written into the weights of a transformers classifier is read out of them. What it should look like is
computed from it once more and compared, so that weights that were trained further are refused and not misread.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import load_file

from tornio.errors import InvalidInput
from tornio.exchange import built_in, weights
from tornio.exchange.families import family_of
from tornio.exchange.modules import write_json
from tornio.exchange.packing import About, read_about
from tornio.models.folder import is_tokenizer_file, read_config
from tornio.models.head import LinearHead
from tornio.models.limits import most_tokens
from tornio.models.pretrained import load_config
from tornio.schemas.registry import EncoderUse

_CHANGED = (
    "The weights of {folder} are not those that `tornio export model` writes: they were trained further, or rounded. A "
    "version needs a linear head, which such weights do not have any longer."
)


def read_export(folder: Path, out: Path, digest: str) -> tuple[LinearHead, EncoderUse, About]:
    """Write the encoder of an exported folder into ``out``, which is empty, as transformers reads it.

    Returns the head, with labels in the folder's order, and how it uses the encoder. ``digest``: what to call an
    encoder that is no base model. Raises InvalidInput for a folder that is no export, and UnfitCheckpoint for a broken
    head.
    """
    about, config = read_about(folder), read_config(folder)
    head, changes, layers = READERS[about.form](folder, about, config, out)
    kept = {name: value for name, value in {**config, **changes}.items() if name not in _OF_CLASSIFIERS}
    write_json(out / "config.json", kept)
    for path in folder.iterdir():
        if is_tokenizer_file(path.name):
            shutil.copyfile(path, out / path.name)
    use = EncoderUse(
        digest=digest,
        pooling=about.pooling,
        normalise=about.normalise,
        max_length=min(about.max_length, most_tokens(load_config(out)) or about.max_length),
        layer=layers[0],
        layers=layers if len(layers) > 1 else None,
    )
    return head, use, about


_OF_CLASSIFIERS = ("architectures", "id2label", "label2id", "problem_type", "thresholds")
Read = tuple[LinearHead, Mapping[str, Any], tuple[int, ...]]
"""The head, what changes in the encoder's config.json, and the layers that are pooled."""


def _classifier(folder: Path, about: About, config: Mapping[str, Any], out: Path) -> Read:
    family, count = family_of(config), len(about.labels)
    if family is None:
        raise InvalidInput(f"No export of the form {about.form} is of the architecture {config['model_type']!r}.")
    tensors, depth = weights.stored(folder), int(config.get(family.depth, 0))
    bias = _array(folder, tensors, f"{family.head}.bias")
    if about.pooling == "mean":
        depth -= 1
        place = f"{family.prefix}.{family.layers}{depth}."
        rows = built_in.rows(_array(folder, tensors, f"{place}{family.value}.weight"), count)
        inner = len(_array(folder, tensors, f"{place}{family.up}.bias"))
    else:
        rows = _array(folder, tensors, f"{family.pooler}.weight")[:count] / np.float32(built_in.SMALL)
    if rows.shape[0] != count or bias.shape != (count,):
        raise InvalidInput(_CHANGED.format(folder=folder))
    head = LinearHead(about.labels, about.multi_label, np.ascontiguousarray(rows), bias)
    if about.pooling == "mean":
        layer, scale, first = built_in.mean_layer(family, head, inner, depth)
        expected = {**layer, **built_in.classify(family, head, scale, first)}
    else:
        expected = dict(built_in.classify(family, head))
    if any(not np.array_equal(_array(folder, tensors, name), array) for name, array in expected.items()):
        raise InvalidInput(_CHANGED.format(folder=folder))
    bare = {name: one for old, one in tensors.items() if old not in expected and (name := family.bare(old)) is not None}
    weights.write(out / weights.FILE, bare)
    return head, {family.depth: depth}, (-1,)


def _modules(folder: Path, about: About, _config: Mapping[str, Any], out: Path) -> Read:
    dense = next(iter(sorted(folder.glob("*_Dense"))), None)
    if dense is None:
        raise InvalidInput(f"{folder} has no module Dense, which has the head. Export the version again.")
    found = load_file(dense / weights.FILE)
    shutil.copyfile(folder / weights.FILE, out / weights.FILE)
    head = LinearHead(about.labels, about.multi_label, found["linear.weight"], found["linear.bias"])
    return head, {}, (-1,)


def _side_by_side(folder: Path, about: About, _config: Mapping[str, Any], out: Path) -> Read:
    head = LinearHead.load(folder)
    if head.labels != about.labels or head.multi_label != about.multi_label:
        raise InvalidInput(f"{folder} contradicts itself: its head has other labels. Export the version again.")
    shutil.copyfile(folder / weights.FILE, out / weights.FILE)
    return head, {}, about.layers


READERS: Mapping[str, Callable[[Path, About, Mapping[str, Any], Path], Read]] = {
    "transformers": _classifier,
    "sentence-transformers": _modules,
    "encoder-and-head": _side_by_side,
}


def _array(folder: Path, tensors: Mapping[str, weights.Stored], name: str) -> NDArray[np.float32]:
    """One float32 tensor of the folder."""
    one = tensors.get(name)
    if one is None or one.dtype != "F32":
        raise InvalidInput(_CHANGED.format(folder=folder))
    with safe_open(one.file, framework="np") as file:
        return np.asarray(file.get_tensor(name), dtype=np.float32)
