"""An exported folder as one tar: checked and packed on the machine that has it, and unpacked with suspicion elsewhere.

This module needs neither torch nor numpy, so that a client alone can send a folder.
"""

from __future__ import annotations

import re
import shutil
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from tornio.errors import InvalidInput
from tornio.models.folder import is_tokenizer_file, read_config, read_object
from tornio.models.outputs import read_outputs
from tornio.schemas.base import Part
from tornio.schemas.registry import Pooling

ABOUT = "tornio.json"
"""The file of every export that says how to read its outputs."""
CARD = "README.md"
MAX_FILES = 100
_OWN = (
    "config.json",
    "modules.json",
    "sentence_bert_config.json",
    "head.json",
    "head.safetensors",
    "model.safetensors",
)
_SUFFIXES = (".json", ".txt", ".model", ".spm", ".safetensors")
_MODULE_FILE = re.compile(r"[1-9]_(Pooling|Normalize|Dense)/(config\.json|model\.safetensors)")


FormName = Literal["transformers", "sentence-transformers", "encoder-and-head"]


class About(Part):
    """``tornio.json``: what an export is of, and how to read its outputs."""

    task: str
    version: str
    form: FormName
    labels: tuple[str, ...] = Field(min_length=1)
    """In the order of the outputs."""
    multi_label: bool
    thresholds: dict[str, float] = {}
    max_length: int = Field(ge=1)
    """Tokens."""
    pooling: Pooling
    normalise: bool
    layers: tuple[int, ...] = Field(min_length=1)


def read_about(folder: Path) -> About:
    """Return what an exported folder says of itself. Raises InvalidInput for another folder, and for one that
    contradicts itself."""
    if not (folder / ABOUT).is_file():
        raise InvalidInput(
            f"{folder} has no {ABOUT}, so `tornio export model` has not written it. A version is an encoder and a "
            "linear head; a classifier that another program has trained is not, and cannot be imported."
        )
    try:
        about = About.model_validate(read_object(folder / ABOUT))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise InvalidInput(f"{folder / ABOUT}: {where}: {first['msg']}. Export the version again.") from error
    config = read_config(folder)
    if config.get("auto_map") is not None:
        raise InvalidInput(f"{folder / 'config.json'} names code (auto_map), which is never run. Remove it.")
    outputs = read_outputs(config)
    if outputs.names != about.labels or outputs.several is not about.multi_label:
        raise InvalidInput(
            f"{folder} contradicts itself: config.json and {ABOUT} have other labels, or another problem_type. Export "
            "the version again."
        )
    return about


def check_labels(names: Sequence[str], several: bool, labels: Sequence[str], multi_label: bool) -> None:
    """Raise InvalidInput unless a model's labels are those of the task, in any order, and as many of them per text.

    ``names``, ``several``: of the model; ``labels``, ``multi_label``: of the task.
    """
    if sorted(names) != sorted(labels):
        lacks = ", ".join(repr(name) for name in labels if name not in names)
        more = ", ".join(repr(name) for name in names if name not in labels)
        parts = [f"lacks {lacks}" if lacks else "", f"has {more}, which the task does not have" if more else ""]
        raise InvalidInput(
            f"The model {' and '.join(filter(None, parts)) or 'names a label twice'}. Its labels must be those of the "
            "task, in any order."
        )
    if several != multi_label:
        kinds = {True: "any number of labels", False: "one label"}
        raise InvalidInput(f"The model gives a text {kinds[several]}, and the task {kinds[multi_label]} (multi_label).")


def files_of(folder: Path) -> dict[str, Path]:
    """Return the files of an exported folder by name, without its card.

    Raises InvalidInput for a link, and for a file that no export has, such as code or a pickle.
    """
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            raise InvalidInput(f"{path} is a link. Copy the folder with its files.")
        if path.is_dir() or name == CARD:
            continue
        _check_name(name)
        found[name] = path
    return found


def pack(files: Mapping[str, Path], path: Path) -> None:
    """Write the files into a tar. The same files make the same bytes."""
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name in sorted(files):
            info = tarfile.TarInfo(name)
            info.size = files[name].stat().st_size
            with files[name].open("rb") as file:
                tar.addfile(info, file)


def unpack(path: Path, folder: Path) -> None:
    """Write the files of a tar into an empty folder.

    Raises InvalidInput for anything but plain files with the names that an export has, each once.
    """
    seen = set[str]()
    try:
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                name = member.name
                if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or member.sparse is not None:
                    raise InvalidInput(f"The model's tar has {name!r:.99}, which is no plain file.")
                _check_name(name)
                if name in seen or len(seen) == MAX_FILES:
                    raise InvalidInput(f"The model's tar has {name!r:.99} twice, or more than {MAX_FILES} files.")
                seen.add(name)
                source, target = tar.extractfile(member), folder / name
                target.parent.mkdir(exist_ok=True)
                assert source is not None
                with source, target.open("xb") as file:
                    shutil.copyfileobj(source, file)
    except (tarfile.TarError, EOFError) as error:
        raise InvalidInput(f"The model's tar is broken ({error}). Send it again.") from error


def _check_name(name: str) -> None:
    tokens = is_tokenizer_file(name) and name.endswith(_SUFFIXES) and "/" not in name
    if name not in (*_OWN, ABOUT) and not tokens and not _MODULE_FILE.fullmatch(name):
        raise InvalidInput(
            f"{name!r:.99} is no file of an export. Code and pickles are never read, and nothing else is needed: "
            "remove it."
        )
