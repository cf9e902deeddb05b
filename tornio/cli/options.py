"""Command line options from the fields of a request model: one option per field, with its description as the help."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Annotated, Any, TypeVar, cast

import typer
from annotated_types import Ge, Le
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from tornio.api import RunRequest
from tornio.errors import InvalidInput

R = TypeVar("R", bound=RunRequest)
_OPTIONS = {"folds": "--cross-validate"}
"""Options that have another name than their field."""


def options_of(model: type[RunRequest]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Decorate a command that has a parameter ``request``: it becomes one option per field of the model.

    The command is called with the request that the options result in. Raises InvalidInput for values that the model
    refuses.
    """
    fields = {name: field for name, field in model.model_fields.items() if name != "job"}

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        parameters: list[inspect.Parameter] = []
        for parameter in inspect.signature(command, eval_str=True).parameters.values():
            if parameter.name == "request":
                parameters += [_parameter(name, field) for name, field in fields.items()]
            else:
                parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))

        @wraps(command)
        def called(**values: Any) -> None:
            given = {name: values.pop(name) for name in fields}
            command(request=request_of(model, given), **values)

        called.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        called.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return called

    return decorate


def _parameter(name: str, field: FieldInfo) -> inspect.Parameter:
    several = field.annotation == tuple[str, ...]
    option = typer.Option(
        _option(name),
        help=(field.description or "") + (" Separate them with commas." if several else ""),
        min=_bound(field, Ge),
        max=_bound(field, Le),
        show_default=field.default not in (None, False, ()),
    )
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        annotation=Annotated[str | None if several else field.annotation, option],
        default=inspect.Parameter.empty if field.is_required() else None if several else field.default,
    )


def _option(name: str) -> str:
    return _OPTIONS.get(name, "--" + name.replace("_", "-"))


def _bound(field: FieldInfo, kind: type[Ge] | type[Le]) -> int | None:
    """The smallest or the largest number that a field accepts. None: the field has no such bound."""
    for bound in field.metadata:
        if isinstance(bound, kind):
            return cast(int, bound.ge if isinstance(bound, Ge) else bound.le)
    return None


def request_of(model: type[R], given: Mapping[str, Any]) -> R:
    """Return the request that options result in. None is an option that was not given.

    Raises InvalidInput for values that the model refuses.
    """
    values = {name: value for name, value in given.items() if value is not None}
    for name, value in values.items():
        if model.model_fields[name].annotation == tuple[str, ...]:
            values[name] = [part.strip() for part in value.split(",") if part.strip()]
    try:
        return model(**values)
    except ValidationError as error:
        faults = "; ".join(f"{_option(str(e['loc'][0]))}: {e['msg']}" for e in error.errors())
        raise InvalidInput(f"the request is not valid. {faults}") from error
