"""The chart's values as a JSON schema and as a page, from the comments of its values.yaml.

A value's comment stands directly above it; ``# @schema {...}`` adds to what its default says about its type.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tornio.settings import LlmEndpoint
from tornio.spec import NAME_PATTERN, TaskSpec

CHART = Path(__file__).parent.parent / "helm" / "tornio"
_MARK = "@schema "
_QUANTITY = {"type": ["string", "number"], "minimum": 0, "pattern": "^[0-9]+([.][0-9]+)?([mkMGTPE]|[KMGTPE]i)?$"}
_QUANTITIES = {"type": "object", "additionalProperties": _QUANTITY}
_EGRESS = {
    "type": "object",
    "additionalProperties": False,
    "properties": {"to": {"type": "array"}, "ports": {"type": "array"}},
}
_OF_THE_KEY = ("api_key_file", "api_key_variable")


def _endpoint() -> dict[str, Any]:
    """The settings of an endpoint without those of its key, which the chart sets."""
    whole = LlmEndpoint.model_json_schema()
    fields = {name: {key: one for key, one in field.items() if key not in ("title", "default", "format")}
              for name, field in whole["properties"].items() if name not in _OF_THE_KEY}  # fmt: skip
    return {"type": "object", "additionalProperties": False, "required": whole["required"], "properties": fields}


_DEFINITIONS = {
    "endpoint": {
        "type": "object",
        "required": ["settings"],
        "additionalProperties": False,
        "properties": {
            "settings": _endpoint(),
            "existingSecret": {"type": "string", "minLength": 1},
            "apiKeyKey": {"type": "string", "minLength": 1},
            "egress": {"type": "array", "items": _EGRESS},
        },
    },
    "resources": {
        "type": "object",
        "additionalProperties": False,
        "properties": {"requests": _QUANTITIES, "limits": _QUANTITIES},
    },
    "task": {
        "type": "object",
        "required": ["workspace", "name"],
        "additionalProperties": False,
        "properties": {
            **dict.fromkeys(TaskSpec.model_fields, True),
            "workspace": {"type": "string", "pattern": NAME_PATTERN},
            "name": {"type": "string", "pattern": NAME_PATTERN},
            "pool": {"type": "string", "pattern": r"^s3://[^'\s]+$"},
        },
    },
}


@dataclass
class Value:
    """One value of the file, or a group of them. ``extra``: what its comment adds to its schema."""

    name: str
    default: Any
    comment: str
    extra: dict[str, Any]
    inner: list[Value] = field(default_factory=list)

    def schema(self) -> dict[str, Any]:
        if "$ref" in self.extra:
            return {"$ref": self.extra["$ref"]}
        found: dict[str, Any] = {"description": self.comment} if self.comment else {}
        if self.inner:
            found |= _closed(self.inner)
        else:
            found |= {"type": _type(self.default)}
        if isinstance(self.default, str) and self.default:
            found["minLength"] = 1
        return found | self.extra


def values(path: Path = CHART / "values.yaml") -> list[Value]:
    """What the file has, in its order."""
    text = path.read_text("utf-8")
    return _group(yaml.compose(text), text.splitlines())


def _group(node: Any, lines: list[str]) -> list[Value]:
    found = []
    for key, value in node.value:
        comment, extra = _above(lines, key.start_mark.line)
        default = yaml.safe_load(yaml.serialize(value))
        # A group is written in block style; what is in flow style, or has its own schema, is one value.
        block = isinstance(value, yaml.MappingNode) and value.value and not value.flow_style and not extra
        inner = _group(value, lines) if block and key.value != "podSecurityContext" else []
        found.append(Value(key.value, default, comment, extra, inner))
    return found


def _above(lines: list[str], line: int) -> tuple[str, dict[str, Any]]:
    """The comment that ends right above a line, and the schema that it adds."""
    said: list[str] = []
    while line and lines[line - 1].strip().startswith("#"):
        line -= 1
        said.insert(0, lines[line].strip().removeprefix("#").strip())
    extra = [json.loads(one.removeprefix(_MARK)) for one in said if one.startswith(_MARK)]
    return " ".join(one for one in said if not one.startswith(_MARK)), extra[0] if extra else {}


def _closed(found: list[Value]) -> dict[str, Any]:
    """An object with these values and no others. What the templates cannot do without is required: helm takes a value
    away that is written without anything after it."""
    required = [value.name for value in found if value.inner or "$ref" in value.extra or _is_filled(value.default)]
    inner: dict[str, Any] = {"type": "object", "additionalProperties": False}
    return inner | ({"required": required} if required else {}) | {"properties": {v.name: v.schema() for v in found}}


def _is_filled(default: Any) -> bool:
    return default != "" and not isinstance(default, list | dict)


def _type(default: Any) -> str | list[str]:
    if isinstance(default, bool):
        return "boolean"
    names: dict[type, str] = {str: "string", list: "array", dict: "object", int: "integer", float: "number"}
    return names[type(default)]


def schema() -> str:
    """``values.schema.json``."""
    whole: dict[str, Any] = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Values of the chart tornio",
        **_closed(values()),
        "$defs": _DEFINITIONS,
    }
    whole["properties"]["global"] = {"type": "object"}
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


def page() -> str:
    """``docs/values.md``, below its first lines."""
    rows = [f"| `{name}` | `{_shown(value.default)}` | {value.comment} |" for name, value in _flat(values(), "")]
    return "\n".join(["| value | default | what it is for |", "|---|---|---|", *rows]) + "\n"


def _flat(found: list[Value], above: str) -> list[tuple[str, Value]]:
    rows = []
    for value in found:
        if value.inner:
            rows += _flat(value.inner, f"{above}{value.name}.")
        else:
            rows.append((above + value.name, value))
    return rows


def _shown(default: Any) -> str:
    return json.dumps(default) if not isinstance(default, str) else default or '""'
