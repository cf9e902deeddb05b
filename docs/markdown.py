"""Parts of the generated pages in Markdown: tables, and what a field of a model is."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import AwareDatetime, BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from tornio.spec import LabelSpec, MemberSpec


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(_cell(cell) for cell in line) + " |\n" for line in lines)


def _cell(text: str) -> str:
    return " ".join(plain(text).split()).replace("|", "\\|")


def plain(text: str) -> str:
    return text.replace("``", "`")


def first_line(model: type) -> str:
    return plain((inspect.getdoc(model) or "").splitlines()[0])


def default_of(field: FieldInfo) -> str:
    if field.default is PydanticUndefined:
        return "required"
    if field.default in (None, ()):
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


def kind_of(field: FieldInfo) -> str:
    kind = _type(field.annotation)
    limits = [f"{sign} {value}" for sign, name in _LIMITS if (value := _limit(field, name)) is not None]
    return ", ".join([kind, *limits])


_LIMITS = ((">=", "ge"), (">", "gt"), ("<=", "le"), ("<", "lt"))


def _limit(field: FieldInfo, name: str) -> object:
    return next((getattr(one, name) for one in field.metadata if hasattr(one, name)), None)


_NAMES: dict[object, str] = {
    str: "text", int: "whole number", float: "number", bool: "true or false", Path: "path", SecretStr: "secret",
    type(None): "none", Any: "any", dict: "object", AwareDatetime: "time", LabelSpec: "label", MemberSpec: "teacher",
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
