"""Writes the reference pages from the code, so that they cannot go stale: ``python -m docs.generate``.

A test compares the pages with what this would write.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import AwareDatetime, BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from docs import chart_values
from services.classifier.settings import ClassifierSettings
from services.embedded import argilla_server
from services.gateway import auth
from services.teacher.settings import TeacherSettings
from tornio import settings
from tornio.client import address
from tornio.schemas import loop, registry, review, runs, tables, task
from tornio.schemas.base import Document, Part
from tornio.schemas.tables import Table
from tornio.spec import LabelSpec, Spec, TaskSpec

HERE = Path(__file__).parent
NOTE = "<!-- Written by `python -m docs.generate` from the code: change it there. -->\n"

SETTINGS = (
    settings.StorageSettings,
    settings.ArgillaSettings,
    settings.NodeSettings,
    settings.JobSettings,
    settings.TrainSettings,
    settings.KubeSettings,
    settings.UpgradeSettings,
    ClassifierSettings,
    TeacherSettings,
)
OTHER_VARIABLES = {
    "The command line and `tornio.Client`": (
        (address.URL_VARIABLE, "Address of the server. Default: what `tornio up` left in this folder or above it."),
        (address.KEY_VARIABLE, "API key."),
        (address.KEY_FILE_VARIABLE, "File that holds the API key, so that it need not stand in the environment."),
    ),
    "Who may do what": (
        (auth.FILE_VARIABLE, "JSON file with the API keys; read again when it changes. See [operating](operating.md)."),
        (auth.VARIABLE, "The same as a value. Used where the file is not set."),
        (
            auth.INSECURE_VARIABLE,
            "`1`: answer without keys where none are given. Set by `tornio up` alone, which listens on 127.0.0.1.",
        ),
    ),
    "`tornio up`": (
        (
            argilla_server.PYTHON_VARIABLE,
            "Interpreter of Argilla's own environment. Default `.venv-argilla` in this folder or beside Tornio's.",
        ),
    ),
}
DOCUMENTS: tuple[ModuleType, ...] = (task, registry, runs, loop, review)


def pages() -> dict[str, str]:
    """File, from this folder on -> what it should hold."""
    return {
        "task-yaml.md": task_yaml(),
        "settings.md": settings_page(),
        "formats.md": formats(),
        "values.md": values_page(),
        "../helm/tornio/values.schema.json": chart_values.schema(),
    }


def values_page() -> str:
    intro = """
        # Values of the chart

        Of `helm/tornio`. `values-small.yaml` beside it has small numbers for one node; [kubernetes](kubernetes.md) says
        how to install.
    """
    return f"{textwrap.dedent(intro).strip()}\n\n{NOTE}\n{chart_values.page()}"


# task.yaml


def task_yaml() -> str:
    intro = """
        # task.yaml

        One classification problem. `tornio apply task.yaml` creates the task or changes it to what the file says; a
        file that is wrong is refused with the line, what was found, and what is allowed. The least that works:

        ```yaml
        workspace: acme
        name: support
        labels: [billing, delivery, other]
        ```

        *On change* says what happens when a field changes while the task lives: **live** takes effect at the
        controller's next look, **next iteration** when the next batch closes; **refused** and, in this release, **new
        generation** are told so: make a new task.
        """
    return NOTE + textwrap.dedent(intro) + "".join(_section(TaskSpec, ""))


def _section(model: type[Spec], path: str) -> Iterator[str]:
    rows, nested = [], []
    for name, field in model.model_fields.items():
        where = f"{path}{name}"
        inner = _inner(field.annotation)
        if inner is not None:
            nested.append((inner, where if inner is field.annotation else f"{where}[]"))
        if inner is not None and inner is field.annotation:
            continue  # a section: its own table says it all
        extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        unit = f" ({extra['unit']})" if extra.get("unit") else ""
        rows.append((f"`{where}`", _kind(field) + unit, _default(field), str(extra["change"]), field.description or ""))
    title = f"`{path.rstrip('.')}`" if path else "The task"
    yield f"\n## {title}\n\n{_first_line(model)}\n\n"
    yield _table(("field", "type", "default", "on change", "what it is"), rows)
    for inner, where in nested:
        yield from _section(inner, f"{where}.")


def _inner(annotation: Any) -> type[Spec] | None:
    """The section that a field holds: itself, or that of each of its items."""
    for one in (annotation, *_flat(annotation)):
        if inspect.isclass(one) and issubclass(one, Spec):
            return one
    return None


def _flat(annotation: Any) -> Iterator[Any]:
    for one in get_args(annotation):
        yield one
        yield from _flat(one)


# Settings


def settings_page() -> str:
    intro = """
        # Settings of a deployment

        From the environment of whoever serves; `tornio up` sets what it needs itself. Secrets can be given as a file
        (`..._FILE`), so that they need not stand in the environment. Nothing about a task or a model stands here: that
        is what [task.yaml](task-yaml.md) and the store are for.
        """
    parts = [NOTE, textwrap.dedent(intro)]
    for model in SETTINGS:
        prefix = str(model.model_config["env_prefix"])
        rows = [
            (f"`{(prefix + name).upper()}`", _kind(field), _default(field), field.description or "")
            for name, field in model.model_fields.items()
        ]
        parts.append(f"\n## {model.__name__.removesuffix('Settings')}\n\n{_first_line(model)}\n\n")
        parts.append(_table(("variable", "type", "default", "what it is"), rows))
    for title, variables in OTHER_VARIABLES.items():
        parts.append(f"\n## {title}\n\n")
        parts.append(_table(("variable", "what it is"), [(f"`{name}`", what) for name, what in variables]))
    return "".join(parts)


# Persisted formats


def formats() -> str:
    intro = """
        # What is persisted

        Everything lives in one bucket under one prefix, as JSON, Parquet and safetensors; nothing is ever unpickled.
        Any of it can be read with ordinary tools.

        - Each JSON document carries `format` and `schema`, each Parquet file `tornio` = `format/schema` in its footer.
          A release reads one number more than it writes, since two releases run side by side during an upgrade; a
          document that is older is upgraded when it is read, one that is newer still is refused. Fields that a release
          does not know survive when it changes a document.
        - Documents marked *put if absent* never change. The others move by compare-and-swap on their ETag. `writer` is
          the token of the write that put a body there: it tells a writer whether an unclear write was its own.
        - Below, keys are relative to `{workspace}/tasks/{task}/`; `blobs/` and `encoders/` lie at the top.
        """
    parts = [NOTE, textwrap.dedent(intro), "\n## Tables (Parquet)\n"]
    for name, doc in _constants(tables):
        table = getattr(tables, name)
        if isinstance(table, Table):
            rows = [(f"`{f.name}`", f"{f.type}{'' if f.nullable else ', required'}") for f in table.columns]
            parts.append(f"\n### {table.format}, schema {table.number}\n\n{_plain(doc)}\n\n")
            parts.append(_table(("column", "type"), rows))
    parts.append("\n## Documents (JSON)\n")
    for module in DOCUMENTS:
        for model in _classes(module):
            head = (
                f"{model.FORMAT}, schema {model.NUMBER}" if issubclass(model, Document) else f"part `{model.__name__}`"
            )
            parts.append(f"\n### {head}\n\n{_plain(inspect.getdoc(model) or '')}\n\n")
            docs = dict(_constants(model))
            fields = [
                (f"`{name}`", _kind(field), docs.get(name, ""))
                for name, field in model.model_fields.items()
                if name not in Document.model_fields
            ]
            parts.append(_table(("field", "type", "what it is"), fields))
    return "".join(parts)


def _classes(module: ModuleType) -> list[type[Part]]:
    """The documents and parts that a module defines, in its order."""
    found = [
        one
        for one in vars(module).values()
        if inspect.isclass(one) and issubclass(one, Part) and one.__module__ == module.__name__
    ]
    return sorted(found, key=lambda one: inspect.getsourcelines(one)[1])


def _constants(owner: ModuleType | type) -> Iterator[tuple[str, str]]:
    """Names that a module or class assigns, each with the string that stands below it."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(owner)))
    body = tree.body[0].body if isinstance(owner, type) and isinstance(tree.body[0], ast.ClassDef) else tree.body
    for one, following in zip(body, [*body[1:], None], strict=True):
        target = (
            one.target if isinstance(one, ast.AnnAssign) else one.targets[0] if isinstance(one, ast.Assign) else None
        )
        if isinstance(target, ast.Name):
            doc = following.value if isinstance(following, ast.Expr) else None
            text = doc.value if isinstance(doc, ast.Constant) and isinstance(doc.value, str) else ""
            yield target.id, " ".join(text.split())


# Markdown


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(_cell(cell) for cell in line) + " |\n" for line in lines)


def _cell(text: str) -> str:
    return " ".join(_plain(text).split()).replace("|", "\\|")


def _plain(text: str) -> str:
    return text.replace("``", "`")


def _first_line(model: type) -> str:
    return _plain((inspect.getdoc(model) or "").splitlines()[0])


def _default(field: FieldInfo) -> str:
    if field.default is PydanticUndefined:
        return "required"
    if field.default is None:
        return "none"
    if isinstance(field.default, BaseModel):
        return "see below"
    if isinstance(field.default, Path):
        return f"`{str(field.default).replace(str(Path.home()), '~')}`"
    if isinstance(field.default, tuple):
        return "`" + ", ".join(map(repr, field.default)) + "`"
    return f"`{_yaml(field.default)}`"


def _yaml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value) if value == "" else str(value)


def _kind(field: FieldInfo) -> str:
    kind = _type(field.annotation)
    limits = [f"{sign} {value}" for sign, name in _LIMITS if (value := _limit(field, name)) is not None]
    return ", ".join([kind, *limits])


_LIMITS = ((">=", "ge"), (">", "gt"), ("<=", "le"), ("<", "lt"))


def _limit(field: FieldInfo, name: str) -> object:
    return next((getattr(one, name) for one in field.metadata if hasattr(one, name)), None)


_NAMES: dict[object, str] = {
    str: "text", int: "whole number", float: "number", bool: "true or false", Path: "path", SecretStr: "secret",
    type(None): "none", Any: "any", dict: "object", AwareDatetime: "time", LabelSpec: "label",
}  # fmt: skip


def _type(annotation: Any) -> str:
    if annotation in _NAMES:
        return _NAMES[annotation]
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " / ".join(f"`{one}`" for one in inner)
    if origin in (Union, UnionType):
        return " or ".join(_type(one) for one in inner)
    if origin is Annotated:
        return _type(inner[0])
    if origin in (tuple, list):
        return f"list of {_type(inner[0])}"
    if origin is dict:
        return f"object of {_type(inner[1])}"
    return str(getattr(annotation, "__name__", annotation))


def main() -> None:
    for name, text in pages().items():
        (HERE / name).write_text(text, "utf-8")


if __name__ == "__main__":
    main()
