"""The files of a model's folder, read with suspicion: they may come from anybody."""

from __future__ import annotations

import json
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from tornio.errors import InvalidInput
from tornio.registry.blobs import check_links

TOKENIZER_FILES = (
    "tokenizer*",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab*",
    "merges.txt",
    "*.model",
    "*.spm",
)
"""All files that a tokenizer may consist of, as patterns. See ``is_tokenizer_file``."""
ADAPTER = "adapter_config.json"
_INDEX = "model.safetensors.index.json"
_MODULES = ("Transformer", "Pooling", "Normalize", "Dropout")
"""Modules of sentence-transformers that an ``Encoder`` applies, and dropout, which does nothing after the training."""


def is_tokenizer_file(name: str) -> bool:
    """Whether a tokenizer may have a file of this name, which has no folder."""
    return any(fnmatch(name, pattern) for pattern in TOKENIZER_FILES)


def read_json(path: Path) -> Any:
    """Read a JSON file; None if it does not exist. Raises InvalidInput for a broken one."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError, OSError) as error:
        raise InvalidInput(f"{path} is not JSON ({error}). Copy the folder again.") from error


def read_object(path: Path) -> dict[str, Any]:
    """Read a JSON object; an empty one if the file does not exist. Raises InvalidInput for anything else."""
    values = read_json(path)
    if values is not None and not isinstance(values, dict):
        raise InvalidInput(f"{path} is not a JSON object. Copy the folder again.")
    return values or {}


def read_config(folder: Path) -> dict[str, Any]:
    """Return a folder's config.json. Raises InvalidInput if it is not one of a transformers model that can be used."""
    if (folder / ADAPTER).exists():
        raise InvalidInput(
            f"{folder} holds an adapter ({ADAPTER}), which is not applied here. Merge it into its base model "
            "(peft's merge_and_unload), save that with save_pretrained, and give the new folder."
        )
    path = folder / "config.json"
    config = read_object(path)
    if not isinstance(config.get("model_type"), str):
        raise InvalidInput(f"{folder} has no config.json of a transformers model. Give the folder that has one.")
    architectures = config.get("architectures") or []
    if not isinstance(architectures, list) or not all(isinstance(name, str) for name in architectures):
        raise InvalidInput(f"{path} has architectures: {architectures!r:.80}. It must be a list of names.")
    if config.get("quantization_config") is not None:
        raise InvalidInput(
            f"{folder} is quantised (quantization_config), which is not supported. Give the whole model."
        )
    if config.get("transformers_weights") is not None:
        raise InvalidInput(f"{path} names its weights (transformers_weights). Call them model.safetensors.")
    return config


def architecture(config: dict[str, Any]) -> str:
    """Return the class that a configuration names, or else its model type."""
    return str((config.get("architectures") or [config["model_type"]])[0])


def check_folder(folder: Path) -> None:
    """Raise InvalidInput for links that lead outside, and for safetensors that are incomplete or broken."""
    check_links(folder)
    index = read_object(folder / _INDEX).get("weight_map") or {}
    if not isinstance(index, dict) or any(Path(str(name)).name != name for name in index.values()):
        raise InvalidInput(f"{folder / _INDEX} names files outside the folder. Copy the folder again.")
    check_weights(folder)


def check_weights(folder: Path) -> None:
    """Raise InvalidInput if a safetensors file of the folder is incomplete."""
    from safetensors import SafetensorError, safe_open

    for path in folder.glob("*.safetensors"):
        try:
            with safe_open(path, framework="np"):  # reads the header and compares the file's length with it
                pass
        except (SafetensorError, OSError) as error:
            raise InvalidInput(f"{path} is an incomplete safetensors file ({error}). Copy the folder again.") from error


def modules(folder: Path) -> list[tuple[str, Path]]:
    """Return kind and folder of each module of a sentence-transformers model, in order; none for any other model.

    Raises InvalidInput for a module that an ``Encoder`` does not apply, such as Dense.
    """
    path = folder / "modules.json"
    listed = read_json(path) or []
    found = []
    for module in listed if isinstance(listed, list) else [None]:
        if not isinstance(module, dict) or not isinstance(module.get("type"), str):
            raise InvalidInput(f"{path} is not a list of modules. Copy the folder again.")
        kind, place = module["type"].rpartition(".")[2], str(module.get("path", ""))
        if kind not in _MODULES:
            raise InvalidInput(
                f"{folder} ends in a module {kind} (modules.json), which is not applied here, so its vectors would be "
                f"others. Give a model of these modules only: {', '.join(_MODULES[:3])}."
            )
        if place and Path(place).name != place:
            raise InvalidInput(f"{path} names the folder {place!r}, which is not inside {folder}.")
        found.append((kind, folder / place))
    return found
