"""Commands about base models: put one into the bucket, list those that are there."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tornio.cli import screen
from tornio.cli.connect import Json
from tornio.cli.stores import is_default_folder, use_store

if TYPE_CHECKING:
    from tornio.registry import Encoders
    from tornio.schemas.registry import EncoderDocument, EncoderName


def register(app: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, help="Base models in the bucket, where replicas and jobs find them.")
    group.command("add")(add)
    group.command("list")(list_encoders)
    app.add_typer(group, name="encoders")


def add(
    source: Annotated[
        str,
        typer.Argument(
            metavar="hub:NAME | PATH",
            help="hub:ORG/MODEL[@REVISION], a transformers folder with safetensors, s3://bucket/prefix, or minilm.",
            show_default=False,
        ),
    ],
    name: Annotated[
        str | None,
        typer.Option(help="What task.yaml calls it.", show_default="the hub's name, or the folder's"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Put a base model into the bucket, from where there is a network: replicas take it from there, never from a hub.

    Added again it changes nothing; another model under the same name is what tasks get that did not know the name yet.
    """
    encoders = _encoders()
    from tornio.models.sources import LAYERS, check_name, check_weights, publish_encoder, resolve_encoder

    called = name or default_name(source)
    found = resolve_encoder(source)
    check_name(called)
    check_weights(found.folder)
    document = publish_encoder(found, encoders)
    named = encoders.give_name(called, document, LAYERS.get(called, found.layer), datetime.now(UTC))
    if as_json:
        screen.dump(_plain(document, [named]))
    else:
        screen.say(f"{called} is in the bucket: {_told(document)}; a task.yaml calls it so: encoder: {called}")


def list_encoders(as_json: Json = False) -> None:
    """List the base models of the bucket: those that were added, and those that tasks brought along."""
    found = _encoders().all()
    if as_json:
        screen.dump({"encoders": [_plain(document, names) for document, names in found]})
        return
    if not found:
        where = "this folder's store (set TORNIO_S3_... for a bucket)" if is_default_folder() else "the bucket"
        screen.say(f"no base model is in {where}: put one there with tornio encoders add hub:NAME, or PATH")
        return
    shown = screen.table("name", "source", "commit", "kind", "#width", "#MB", "digest")
    for document, names in sorted(found, key=lambda one: one[0].source):
        called = ", ".join(sorted(name.name for name in names)) or "-"
        size = f"{_bytes(document) / 1e6:.1f}"
        commit = (document.commit or "-")[:12]
        kind, width = document.architecture, str(document.dimension)
        shown.add_row(called, document.source, commit, kind, width, size, document.digest[:12])
    screen.show(shown)


def default_name(source: str) -> str:
    """What a base model is called that nobody names: as on the hub, or as its folder."""
    if source.startswith("hub:"):
        return source.removeprefix("hub:")
    if source.startswith(("s3://", ".", "/", "~")) or Path(source).is_dir():
        return Path(source.removeprefix("s3://")).expanduser().resolve().name
    return source


def _encoders() -> Encoders:
    """Those of the store that this process works with."""
    try:
        from tornio.registry import Encoders
        from tornio.storage.environment import store_from_environment
    except ImportError as error:
        raise typer.BadParameter(f"the bucket needs the extra: pip install 'tornio[cluster]' ({error})") from error
    use_store()
    return Encoders(store_from_environment())


def _told(document: EncoderDocument) -> str:
    commit = f" at commit {document.commit[:12]}" if document.commit else ""
    size = f"{_bytes(document) / 1e6:.1f} MB"
    return f"{document.source}{commit}, {document.architecture}, {document.dimension} wide, {size}"


def _bytes(document: EncoderDocument) -> int:
    return sum(blob.size for blob in document.files.values())


def _plain(document: EncoderDocument, names: Sequence[EncoderName]) -> dict[str, Any]:
    values = document.model_dump(mode="json", include={"digest", "source", "commit", "architecture", "dimension"})
    return {"names": sorted(name.name for name in names), **values, "bytes": _bytes(document)}
