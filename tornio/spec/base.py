"""What every section of a spec shares: the documented field, and the frozen base."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

NAME_PATTERN = r"^[a-z0-9][a-z0-9_-]{0,62}$"
LABEL_PATTERN = r"^\S(.*\S)?$"
PATTERNS = {
    NAME_PATTERN: "lower-case letters, digits, '-' and '_', at most 63, beginning with a letter or digit",
    LABEL_PATTERN: "one line of text without white space at either end; remove the white space",
}
"""What each pattern of a spec allows, in words."""
Change = Literal["live", "next iteration", "new generation", "refused"]
Name = Annotated[str, Field(pattern=NAME_PATTERN)]
Choice = Annotated[str, Field(min_length=1, max_length=200)]
"""The name of an entry of a table that may grow, such as a query strategy.

A spec that is read back may have been written by a later release or with a package that is not installed here, so an
unknown name is no error of the spec. It is checked when a spec is applied (``tornio.tasks.names``), and what needs the
entry reports that it is missing.
"""


def setting(default: Any = ..., *, doc: str, change: Change, unit: str = "", **limits: Any) -> Any:
    """A field of a spec with its documentation: what it is, its unit, and what changing it later does."""
    return Field(default, description=doc, json_schema_extra={"unit": unit, "change": change}, **limits)


class Spec(BaseModel):
    """Base of the spec's sections. It is frozen, and an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class NoSettings(Spec):
    """The settings of a strategy, method or criterion that has none."""
