"""A version on this machine, read from the folder that a bundle was unpacked to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml

from tornio.errors import IntegrityError, Unavailable
from tornio.exchange.bundle import BASE, ENCODER, ITERATION, MANIFEST, MODEL, SPEC, terms
from tornio.models.folder import read_config
from tornio.models.head import LinearHead
from tornio.models.kinds import KINDS
from tornio.models.limits import most_tokens
from tornio.models.pretrained import load_config
from tornio.registry.blobs import check_names, is_intact
from tornio.schemas.base import Document
from tornio.schemas.registry import Blob, EncoderDocument, EncoderUse, Manifest
from tornio.schemas.task import Iteration, SpecDocument
from tornio.spec import LabelSpec

D = TypeVar("D", bound=Document)
_FRONT = re.compile(r"\A---\s*\n(.*?)\n---\s*(\n|\Z)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Source:
    """A version, and all that is known about it.

    ``labels``: with their descriptions, in the version's order. ``encoder``: the folder of the transformers encoder
    that it uses. ``base``: its base model, if the store knows it still. ``licence``: of the base model, as its own
    files say.
    """

    manifest: Manifest
    labels: tuple[LabelSpec, ...]
    iteration: Iteration | None
    base: EncoderDocument | None
    licence: str | None
    use: EncoderUse
    head: LinearHead
    encoder: Path
    config: dict[str, Any]
    """The encoder's config.json."""
    max_length: int
    """Tokens of a text that it reads, special tokens included."""


def read_source(folder: Path) -> Source:
    """Return the version in this folder. Raises Unavailable for a file that is missing or cut, IntegrityError, and
    UnfitCheckpoint (see ``LinearHead.load``)."""
    manifest, spec = _read(folder / MANIFEST, Manifest), _read(folder / SPEC, SpecDocument).task_spec()
    base = _read(folder / BASE, EncoderDocument) if (folder / BASE).exists() else None
    iteration = _read(folder / ITERATION, Iteration) if (folder / ITERATION).exists() else None
    own = KINDS[manifest.kind].own_encoder
    if manifest.encoder is None or (base is None and not own):
        raise IntegrityError(f"The base model of version {manifest.version} is not in the store. Train again.")
    _check(folder / MODEL, manifest.blobs)
    if base is not None:
        _check(folder / ENCODER, terms(base.files) if own else base.files)
    encoder = folder / (MODEL if own else ENCODER)
    length = manifest.encoder.max_length
    described = {label.name: label for label in spec.labels}
    return Source(
        manifest=manifest,
        labels=tuple(described.get(name) or LabelSpec(name=name) for name in manifest.labels),
        iteration=iteration,
        base=base,
        licence=None if base is None else _licence(folder / ENCODER),
        use=manifest.encoder,
        head=LinearHead.load(folder / MODEL),
        encoder=encoder,
        config=read_config(encoder),
        max_length=min(length, most_tokens(load_config(encoder)) or length),
    )


def _read(path: Path, kind: type[D]) -> D:
    if not path.is_file():
        raise Unavailable(f"The export ended before {path.name}. Try again.")
    return kind.decode(path.read_bytes(), path.name)


def _check(folder: Path, files: dict[str, Blob]) -> None:
    check_names(files)
    for name, blob in files.items():
        path = folder / name
        if not path.is_file() or not is_intact(blob, path):
            raise Unavailable(f"The export ended before {name} was complete. Try again.")


def _licence(folder: Path) -> str | None:
    """Return the licence that the card of a model's folder names."""
    for card in folder.glob("README.md"):
        front = _FRONT.match(card.read_text(encoding="utf-8", errors="replace"))
        for value in _values(front[1] if front else ""):
            return value
    return None


def _values(front: str) -> Iterator[str]:
    try:
        said = yaml.safe_load(front)
    except yaml.YAMLError:
        return
    value = said.get("license") if isinstance(said, dict) else None
    if isinstance(value, str):
        yield value
