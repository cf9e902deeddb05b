"""What is wrong with a task.yaml, and what is allowed there."""

from __future__ import annotations

import re
from difflib import get_close_matches

import yaml
from pydantic_core import ErrorDetails

from tornio.spec import TaskSpec
from tornio.spec.base import PATTERNS
from tornio.spec.limits import cut
from tornio.specfile.nodes import SCALARS, Reading
from tornio.specfile.places import Path, model_at, place, sections


def message(error: ErrorDetails, reading: Reading) -> str:
    path, kind, context = error["loc"], error["type"], error.get("ctx", {})
    at, found = place(path), reading.found(path)
    if kind == "extra_forbidden":
        return _unknown(path)
    if kind == "missing":
        return f"{at} is missing: {_describe(path)}".rstrip(": ")
    if kind == "value_error":
        reason = cut(str(context["error"]), 500)
        return reason if at in reason else f"{at}: {reason}"
    of_text = kind == "string_type" or (kind == "model_type" and path[0] == "labels")
    if of_text and _is_unquoted(reading.nodes.get(path)):
        return f'{at}: found {found}, which YAML does not read as text; put quotes around it, "{found}"'
    if kind == "bool_parsing":
        return f"{at}: found {found}; allowed: true, false"
    if kind == "model_type":
        return f"{at}: found {found}; {_section_advice(path)}"
    if kind == "tuple_type":
        return f"{at}: found {found}; it must be a list, each entry on a line that begins with '- '"
    if kind == "string_pattern_mismatch":
        return f"{at}: found {found}; allowed: {PATTERNS.get(context['pattern'], context['pattern'])}"
    if kind == "literal_error":
        allowed = re.findall(r"'([^']*)'", context["expected"])
        return f"{at}: found {found}; allowed: {', '.join(allowed)}{_did_you_mean(str(error['input']), allowed)}"
    if kind == "too_short":
        return f"{at}: found {context['actual_length']} entries; give at least {context['min_length']}"
    if kind == "too_long":
        return f"{at}: found {_count(context['actual_length'])} entries; at most {context['max_length']:,} are allowed"
    if kind == "string_too_long":
        return (
            f"{at}: found a text of {len(error['input']):,} characters; at most {context['max_length']:,} are allowed"
        )
    rule = error["msg"].replace("Input should", "it must", 1).replace("String should", "it must", 1)
    return f"{at}: found {found}; {rule.removesuffix(', unable to parse string as a number')}"


def _count(length: int | None) -> str:
    return "more" if length is None else f"{length:,}"


def _unknown(path: Path) -> str:
    *section, name = path
    model = model_at(tuple(section))
    known = list(model.model_fields) if model else []
    guess = _did_you_mean(str(name), known)
    if not guess:
        homes = [
            place((*home, str(name))).replace(".[]", "[]")
            for home, other in sections(TaskSpec)
            if name in other.model_fields
        ]
        guess = f"; did you mean {' or '.join(homes)}?" if homes else ""
    return f"{place(path)} is not a field{guess or '; the fields here are: ' + ', '.join(known)}"


def _did_you_mean(name: str, known: list[str]) -> str:
    near = get_close_matches(name[:100].lower().replace(" ", "_"), known, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _is_unquoted(node: yaml.Node | None) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag in SCALARS and bool(node.value)


def _section_advice(path: Path) -> str:
    if path[0] == "labels":
        return "a label is a text, or a mapping with name and description"
    model = model_at(path)
    known = ", ".join(model.model_fields) if model else ""
    return f"remove it, or indent its fields below it ({known})"


def _describe(path: Path) -> str:
    model = model_at(path[:-1])
    info = model.model_fields.get(str(path[-1])) if model else None
    return (info.description or "") if info else ""
