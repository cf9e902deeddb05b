"""Commands for base models: add one to the bucket, adapt one to texts, list those in the bucket, export one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tornio.cli import screen
from tornio.cli.connect import TASK_NAME, Context, Json, Url, connect
from tornio.cli.stores import is_default_folder, use_store
from tornio.errors import NotFound
from tornio.files.whole import writing_folder
from tornio.settings import NodeSettings

if TYPE_CHECKING:
    from tornio.registry import Encoders
    from tornio.schemas.registry import EncoderDocument, EncoderName


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        no_args_is_help=True, help="Manage the base models that replicas and jobs load from the bucket."
    )
    group.command("add")(add)
    group.command("list")(list_encoders)
    group.command("adapt")(adapt)
    group.command("export")(export)
    app.add_typer(group, name="encoders")


def add(
    source: Annotated[
        str,
        typer.Argument(
            metavar="hub:NAME | PATH",
            help="hub:ORG/MODEL or hub:ORG/MODEL@REVISION, a transformers folder with safetensors, "
            "s3://bucket/prefix, or minilm.",
            show_default=False,
        ),
    ],
    name: Annotated[
        str | None,
        typer.Option(
            help="Name by which a task.yaml refers to it.", show_default="its name on the hub, or that of the folder"
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Add a base model to the bucket. Run it where there is network access: replicas load it from the bucket only.

    Adding it again changes nothing. If another model is added under the same name, tasks that used the name before keep
    the earlier model.
    """
    encoders = _encoders()
    from tornio.models.sources import LAYERS, check_name, publish_encoder, resolve_encoder
    from tornio.models.translating import is_translator

    model_name = name or default_name(source)
    resolved = resolve_encoder(source)
    check_name(model_name)
    translates = is_translator(resolved.folder)
    document = publish_encoder(resolved, encoders, NodeSettings().precision, translates=translates)
    named = encoders.give_name(model_name, document, LAYERS.get(model_name, resolved.layer), datetime.now(UTC))
    if as_json:
        screen.dump(_plain(document, [named]))
    else:
        screen.say(f"{model_name} is in the bucket: {_summary(document)}; in a task.yaml write encoder: {model_name}")


def adapt(
    ctx: Context,
    texts: Annotated[
        str,
        typer.Option(metavar=TASK_NAME, help="Task whose pool has the texts.", show_default=False),
    ],
    name: Annotated[str, typer.Option(help="Name of the result, by which a task.yaml refers to it.")],
    base: Annotated[
        str | None, typer.Option("--from", help="Base model to start from.", show_default="that of the task")
    ] = None,
    objective: Annotated[
        str,
        typer.Option(help="masked-language (for models that are fine-tuned) or contrastive (for frozen ones)."),
    ] = "masked-language",
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the texts, at most.")] = 3,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Let a base model go on with its pre-training on the texts of a task, without labels. The result is a base model.

    The same as `tornio run adapt`, which has more options. The server does the work.
    """
    chosen = {"name": name, "base": base, "objective": objective, "epochs": epochs}
    with connect(ctx, url) as client:
        run = client.start_run(texts, {"job": "adapt", **chosen})
    if as_json:
        screen.dump(run)
    else:
        screen.say(f"run {run.run} is {run.state}. Follow it with: tornio runs {texts} --watch")


def list_encoders(as_json: Json = False) -> None:
    """List the base models of the bucket: those that were added, and those that tasks have published."""
    stored = _encoders().all()
    if as_json:
        screen.dump({"encoders": [_plain(document, names) for document, names in stored]})
        return
    if not stored:
        where = "this folder's store (set TORNIO_S3_... for a bucket)" if is_default_folder() else "the bucket"
        screen.say(f"There is no base model in {where}. Add one with: tornio encoders add hub:NAME (or PATH)")
        return
    rows = [_row(document, names) for document, names in sorted(stored, key=lambda one: one[0].source)]
    screen.show(screen.table(("=name", "source", "=commit", "kind", "#width", "#MB", "=digest"), rows))


def export(
    name: Annotated[str, typer.Argument(help="Name of the base model in the bucket.", show_default=False)],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write. It must be empty or not exist.")],
    as_json: Json = False,
) -> None:
    """Write a base model of the bucket, such as an adapted one, as a folder that transformers and
    sentence-transformers load."""
    encoders = _encoders()
    from tornio.exchange.encoders import write_encoder
    from tornio.storage.environment import store_from_environment

    named = encoders.named(name.removeprefix("hub:"))
    if named is None:
        raise NotFound(f"There is no base model {name!r} in the bucket. `tornio encoders list` lists them.")
    document = encoders.get(named.digest)
    with writing_folder(output) as folder:
        write_encoder(store_from_environment(), document, folder)
    if as_json:
        screen.dump({**_plain(document, [named]), "path": str(output)})
    else:
        screen.say(f"wrote {name} to {output}: {_summary(document)}")


def _row(document: EncoderDocument, names: Sequence[EncoderName]) -> tuple[str, ...]:
    model_names = ", ".join(sorted(name.name for name in names)) or "-"
    size = f"{_bytes(document) / 1e6:.1f}"
    commit = (document.commit or "-")[:12]
    kind, width = document.architecture, str(document.dimension)
    return model_names, document.source, commit, kind, width, size, document.digest[:12]


def default_name(source: str) -> str:
    """Return the name of a base model that was given none: that on the hub, or that of its folder."""
    if source.startswith("hub:"):
        return source.removeprefix("hub:")
    if source.startswith(("s3://", ".", "/", "~")) or os.path.isdir(source):  # noqa: PTH112 - takes any length
        return Path(source.removeprefix("s3://")).expanduser().resolve().name
    return source


def _encoders() -> Encoders:
    """Return the encoders of the store that this process works with."""
    try:
        from tornio.registry import Encoders
        from tornio.storage.environment import store_from_environment
    except ImportError as error:
        raise typer.BadParameter(
            f"The bucket needs an extra that is not installed ({error}). Run: pip install 'tornio[cluster]'"
        ) from error
    use_store()
    return Encoders(store_from_environment())


def _summary(document: EncoderDocument) -> str:
    commit = f" at commit {document.commit[:12]}" if document.commit else ""
    size = f"{_bytes(document) / 1e6:.1f} MB"
    return f"{document.source}{commit}, {document.architecture}, dimension {document.dimension}, {size}"


def _bytes(document: EncoderDocument) -> int:
    return sum(blob.size for blob in document.files.values())


def _plain(document: EncoderDocument, names: Sequence[EncoderName]) -> dict[str, Any]:
    values = document.model_dump(mode="json", include={"digest", "source", "commit", "architecture", "dimension"})
    return {"names": sorted(name.name for name in names), **values, "bytes": _bytes(document)}
