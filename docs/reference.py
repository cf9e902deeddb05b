"""The reference pages of the interfaces: the command line, the HTTP API and the Python client.

They are generated from the code, as those of ``docs.generate``, which writes them.
"""

from __future__ import annotations

import inspect
import json
import re
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any, cast

import typer

from docs import markdown
from services.gateway.app import create_app
from services.gateway.auth import FixedKeys, KeyRing
from services.gateway.port import Backend
from tornio import Client, errors
from tornio.cli.app import app

Json = Mapping[str, Any]
_HTTP = ("get", "put", "post", "patch", "delete")


def command_line(note: str) -> str:
    """``note``: says that the page is generated."""
    program = typer.main.get_command(app)
    about = textwrap.fill(program.help or "", 120)
    intro = f"""
        # Command line

        {about}

        Every command explains itself with `--help`. It ends with 0, with 1 after an error, or with 2 for a wrong usage.
        """
    return note + _dedented(intro) + "".join(_commands("tornio", program))


def _dedented(text: str) -> str:
    return "\n" + "\n".join(line.strip() for line in text.strip().splitlines()) + "\n"


def _commands(name: str, command: Any) -> Iterator[str]:
    """Yield the section of each command, in the order in which `--help` lists them. Groups come as a heading."""
    inner = getattr(command, "commands", {})
    if name != "tornio":
        yield f"\n{'##' if name.count(' ') == 1 else '###'} `{name}`\n\n{_plain(command.help or '')}\n"
    if not inner:
        context = typer.Context(command, info_name=name, terminal_width=100)
        yield f"\n```\n{command.get_usage(context).removeprefix('Usage: ')}\n```\n"
        yield from _parameters(command, context)
    for short, one in inner.items():
        if not one.hidden:
            yield from _commands(f"{name} {short}", one)


def _parameters(command: Any, context: Any) -> Iterator[str]:
    records = [one.get_help_record(context) for one in command.params]
    rows = [(f"`{' '.join(left.split())}`", _plain(right)) for left, right in filter(None, records)]
    if rows:
        yield "\n" + markdown.table(("argument or option", "what it is"), rows)


def _plain(text: str) -> str:
    """Return a docstring or help as Markdown that shows every sign as it is."""
    return re.sub(r"(?<!`)<([\w.-]+)>", r"`<\1>`", markdown.plain(text.replace("\b", "").strip()))


def http_api(note: str) -> str:
    described = create_app(cast("Backend", None), KeyRing(FixedKeys(()), insecure=True)).openapi()
    intro = """
        # HTTP API

        This page lists all requests that a server answers. A running server shows the same at `/docs`, where you can
        try each request, and as an OpenAPI description at `/openapi.json`. Send an API key as
        `Authorization: Bearer KEY`: see [API keys](operating.md#api-keys).

        ## Errors

        An error is a problem document (RFC 9457): its `detail` says what was found and what to do. The paths of other
        protocols have the errors of these protocols. Every request may answer with one of these:
        """
    by_tag: dict[str, list[str]] = {}
    errors: dict[str, str] = {}
    for path, operations in described["paths"].items():
        for method in (one for one in _HTTP if one in operations):
            (tag, *_) = operations[method].get("tags") or ["other"]
            by_tag.setdefault(tag, []).append(_operation(method, path, operations[method]))
            for status, answer in operations[method]["responses"].items():
                if _is_problem(answer):
                    errors.setdefault(status, _plain(answer["description"]))
    rows = [(f"`{status}`", what) for status, what in sorted(errors.items())]
    parts = [note, _dedented(intro), "\n", markdown.table(("status", "what it is"), rows)]
    for tag, sections in by_tag.items():
        parts += [f"\n## Requests: {tag}\n", *sections]
    parts.append("\n## Objects\n\nThe objects that requests and answers contain.\n")
    parts += [_schema(name, one) for name, one in sorted(described["components"]["schemas"].items())]
    return "".join(parts)


def _operation(method: str, path: str, operation: Json) -> str:
    what = _plain(operation.get("description") or operation.get("summary", ""))
    parts = [f"\n### `{method.upper()} {path}`\n\n{what}\n"]
    rows = [
        (f"`{one['name']}`", one["in"], _kind(one["schema"]), _plain(one.get("description", "")))
        for one in operation.get("parameters", ())
    ]
    if rows:
        parts.append("\n" + markdown.table(("parameter", "in", "type", "what it is"), rows))
    for kind, body in operation.get("requestBody", {}).get("content", {}).items():
        parts.append(f"\nBody, `{kind}`: {_kind(body['schema'])}\n")
        example = body.get("example", next(iter(body["schema"].get("examples", ())), None))
        if example is not None:
            shown = example if isinstance(example, str) else json.dumps(example, indent=2, ensure_ascii=False)
            parts.append(f"\n```{'' if isinstance(example, str) else 'json'}\n{shown.rstrip()}\n```\n")
    answers = [
        (f"`{status}`", ", ".join(_kind(one.get("schema", {})) for one in answer.get("content", {}).values()),
         _plain(answer.get("description", "")))
        for status, answer in operation["responses"].items()
        if not _is_problem(answer)
    ]  # fmt: skip
    return "".join([*parts, "\n", markdown.table(("answer", "type", "what it is"), answers)])


def _is_problem(answer: Json) -> bool:
    """Whether an answer is an error, which the page lists once for all requests."""
    return any(one.get("schema", {}).get("$ref", "").endswith("/Problem") for one in answer.get("content", {}).values())


def _kind(schema: Json) -> str:
    """Return the type of a schema, with a link to the section of each object."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return " or ".join(dict.fromkeys(map(_kind, schema[several])))
    if "enum" in schema or "const" in schema:
        return " / ".join(f"`{one}`" for one in schema.get("enum", [schema.get("const")]))
    kind = schema.get("type")
    if kind == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"object of {_kind(schema['additionalProperties'])}"
    return _TYPES.get(str(kind), "any")


_TYPES = {
    "string": "text", "integer": "whole number", "number": "number", "boolean": "true or false", "object": "object",
    "null": "none",
}  # fmt: skip


def _schema(name: str, schema: Json) -> str:
    text = f"\n### {name}\n\n{_plain(schema.get('description', ''))}\n"
    required = schema.get("required", ())
    rows = [
        (
            f"`{field}`",
            _kind(one),
            "required" if field in required else _default(one),
            _plain(one.get("description", "")),
        )
        for field, one in schema.get("properties", {}).items()
    ]
    if rows:
        return text + "\n" + markdown.table(("field", "type", "default", "what it is"), rows)
    return text + f"\nIt is {_kind(schema)}.\n"


def _default(schema: Json) -> str:
    default = schema.get("default")
    return "none" if default is None or default in ([], {}) else f"`{json.dumps(default, ensure_ascii=False)}`"


def python_api(note: str) -> str:
    """The methods of ``tornio.Client``, from their signatures and docstrings, and the errors that they raise."""
    intro = """
        # Python API

        These are the methods of `tornio.Client`. `tornio.AsyncClient` has the same methods, which are awaited:
        [The Python client](python-client.md) shows both. What the methods return is described under
        [Objects of the HTTP API](http-api.md#objects).
        """
    parts = [note, _dedented(intro), "\n## `Client`\n\n", _signature("Client", Client), _docstring(Client)]
    for name, one in vars(Client).items():
        if inspect.isfunction(one) and not name.startswith("_"):
            parts += [f"\n### `{name}`\n\n", _signature(name, one), _docstring(one)]
    tree = textwrap.dedent((inspect.getdoc(errors) or "").partition("TornioError\n")[2])
    parts.append(
        "\n## Errors\n\nEvery message states what was found and what to do. The classes are in `tornio.errors`.\n\n"
        f"```\nTornioError\n{tree.rstrip()}\n```\n"
    )
    return "".join(parts)


def _signature(name: str, one: Any) -> str:
    text = f"{name}{_unquoted(inspect.signature(one))}".replace("(self, ", "(").replace("(self)", "()")
    text = text.replace("'", '"')
    text = re.sub(r"<function (\w+) at \w+>", r"\1", text)
    if len(text) > 90:
        head, _, rest = text.partition("(")
        inside, close, result = rest.rpartition(")")
        text = f"{head}(\n    {_split(inside)},\n{close}{result}"
    return f"```python\n{text}\n```\n\n"


class _Bare(str):
    """An annotation as it stands in the code. Other texts of a signature, such as defaults, keep their quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _unquoted(signature: inspect.Signature) -> inspect.Signature:
    parameters = [one.replace(annotation=_bare(one.annotation)) for one in signature.parameters.values()]
    return signature.replace(parameters=parameters, return_annotation=_bare(signature.return_annotation))


def _bare(annotation: Any) -> Any:
    return _Bare(annotation) if isinstance(annotation, str) else annotation


def _split(parameters: str) -> str:
    """Put each parameter on a line of its own: split at commas outside of brackets."""
    depth, lines = 0, [""]
    for sign in parameters:
        depth += (sign in "[(") - (sign in "])")
        if sign == "," and not depth:
            lines.append("")
        else:
            lines[-1] += sign
    return ",\n    ".join(line.strip() for line in lines)


def _docstring(one: Any) -> str:
    """Return a docstring as Markdown. Examples become code."""
    parts = []
    for paragraph in (inspect.getdoc(one) or "").split("\n\n"):
        example = paragraph.startswith(">>>")
        text = re.sub(r" *# doctest: \+SKIP", "", paragraph)
        parts.append(f"```python\n{text}\n```" if example else _plain(paragraph))
    return "\n\n".join(parts) + "\n"
