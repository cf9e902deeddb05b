"""What all persisted documents share: a schema number, upgrade on read, and unknown fields that are kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from tornio.errors import IntegrityError, SchemaTooNew

Upgrade = Callable[[dict[str, Any]], dict[str, Any]]


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


Timestamp = Annotated[AwareDatetime, AfterValidator(_utc)]
"""A moment with its time zone, written as ISO 8601 in UTC."""


class Part(BaseModel):
    """A part of a document. Fields that this release does not know survive a read-modify-write."""

    model_config = ConfigDict(frozen=True, extra="allow")

    def evolve(self, **changes: Any) -> Self:
        """Return a copy with these fields changed, validated again."""
        unknown = set(changes) - set(type(self).model_fields)
        if unknown:
            raise TypeError(f"{type(self).__name__} has no field {sorted(unknown)}")
        return type(self).model_validate({**dict(self), **(self.model_extra or {}), **changes})


class Document(Part):
    """One JSON object in the store.

    This release writes ``NUMBER`` and also reads ``NUMBER + 1``, because two releases run side by side during an
    upgrade. A document that was read with a higher number keeps it.
    """

    FORMAT: ClassVar[str]
    NUMBER: ClassVar[int] = 1
    READS: ClassVar[int | None] = None
    """The largest number that this release reads, if it is not ``NUMBER + 1``."""
    UPGRADES: ClassVar[Mapping[int, Upgrade]] = {}
    """Functions that upgrade number n to n + 1, one for each older n that may still be in a bucket."""

    format: str = ""
    schema_number: int = Field(default=0, alias="schema")
    writer: str | None = None
    """Token of the write that stored this body. It tells a writer whether an unclear write was its own."""

    def model_post_init(self, _context: Any) -> None:
        object.__setattr__(self, "format", self.format or self.FORMAT)
        object.__setattr__(self, "schema_number", self.schema_number or self.NUMBER)

    def evolve(self, **changes: Any) -> Self:
        values = {**dict(self), **(self.model_extra or {}), **changes}
        values["schema"] = values.pop("schema_number")
        return type(self).model_validate(values)

    def encode(self, writer: str | None = None) -> bytes:
        """Return canonical JSON: sorted keys, UTF-8, indented by two spaces, with a newline at the end."""
        values = self.model_dump(mode="json", by_alias=True)
        values["writer"] = writer
        return (json.dumps(values, sort_keys=True, ensure_ascii=False, indent=2) + "\n").encode()

    @classmethod
    def decode(cls, body: bytes, where: str = "document") -> Self:
        """Read a body, upgraded to this release's number.

        Raises IntegrityError for a body that is not such a document, SchemaTooNew for one of a later release.
        """
        try:
            values = json.loads(body)
        except ValueError as error:
            raise IntegrityError(f"{where} is not JSON ({error}). Restore it from a backup.") from error
        if not isinstance(values, dict) or values.get("format") != cls.FORMAT:
            found = values.get("format") if isinstance(values, dict) else type(values).__name__
            raise IntegrityError(f"{where} should be a {cls.FORMAT!r} document, but its format is {found!r}.")
        try:
            return cls.model_validate(cls._upgraded(values, where))
        except ValidationError as error:
            raise IntegrityError(f"{where} is not a valid {cls.FORMAT!r} document: {error}") from error

    @classmethod
    def _upgraded(cls, values: dict[str, Any], where: str) -> dict[str, Any]:
        number = values.get("schema")
        if not isinstance(number, int) or number < 1:
            raise IntegrityError(f"{where} has no schema number.")
        newest = cls.READS or cls.NUMBER + 1
        if number > newest:
            raise SchemaTooNew(
                f"{where} has schema {number}. This release reads schemas up to {newest}. Upgrade Tornio first."
            )
        while number < cls.NUMBER:
            values = cls.UPGRADES[number](dict(values))
            number += 1
            values["schema"] = number
        return values
