"""Argilla's filters as SQL conditions on a record."""

import re
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from argilla_server.models import Question, Record, Response, Suggestion
from argilla_server.search_engine.base import (
    AndFilter,
    Filter,
    MetadataFilterScope,
    RangeFilter,
    RecordFilterScope,
    ResponseFilterScope,
    SuggestionFilterScope,
    TermsFilter,
)
from sqlalchemy import Float, String, and_, cast, exists, or_, select

from .database import IS_SQLITE, elements, every, is_number

_NUMBER = re.compile(r"-?\d+(\.\d+)?")


def filter_condition(given: Filter) -> Any:
    """Return the SQL condition for records that pass the filter. Raises ValueError for an unknown scope."""
    if isinstance(given, AndFilter):
        return every([filter_condition(part) for part in given.filters])
    scope = given.scope
    if isinstance(scope, MetadataFilterScope):
        table, column = elements(Record.metadata_, scope.metadata_property)
        return exists(select(1).select_from(table).where(_element_passes(given, table, column)))
    if isinstance(scope, RecordFilterScope):
        return _record_condition(given, scope.property)
    if isinstance(scope, SuggestionFilterScope):
        return _suggestion_condition(given, scope)
    if isinstance(scope, ResponseFilterScope):
        return _response_condition(given, scope)
    raise ValueError(f"Cannot filter by {scope!r}: the search engine does not support this scope.")


def of_question(scope: SuggestionFilterScope) -> list[Any]:
    """Return the conditions that join a record to its suggestions for the question of that name."""
    return [
        Suggestion.record_id == Record.id,
        Question.id == Suggestion.question_id,
        Question.name == scope.question,
        Question.dataset_id == Record.dataset_id,
    ]


def of_responses(scope: ResponseFilterScope) -> list[Any]:
    """Return the conditions that join a record to its responses, or to those of the scope's user."""
    by_user = [Response.user_id == scope.user.id] if scope.user else []
    return [Response.record_id == Record.id, *by_user]


def _suggestion_condition(given: TermsFilter | RangeFilter, scope: SuggestionFilterScope) -> Any:
    if scope.property in ("agent", "type"):
        chosen = cast(getattr(Suggestion, scope.property), String).in_([_text(value) for value in given.values])
        return exists(select(1).select_from(Suggestion, Question).where(*of_question(scope), chosen))
    document = Suggestion.value if scope.property == "value" else Suggestion.score
    table, column = elements(document)
    passes = _element_passes(given, table, column)
    return exists(select(1).select_from(Suggestion, Question, table).where(*of_question(scope), passes))


def _response_condition(given: TermsFilter | RangeFilter, scope: ResponseFilterScope) -> Any:
    joined = of_responses(scope)
    if scope.question:
        table, column = elements(Response.values, scope.question, "value")
        passes = _element_passes(given, table, column)
        return exists(select(1).select_from(Response, table).where(*joined, passes))
    statuses = [_text(value) for value in given.values]
    conditions = []
    if "pending" in statuses:  # pending means that there is no row
        conditions.append(~exists(select(1).select_from(Response).where(*joined)))
    stored = [status for status in statuses if status != "pending"]
    if stored:
        conditions.append(exists(select(1).select_from(Response).where(*joined, Response.status.in_(stored))))
    return or_(*conditions)


def _record_condition(given: TermsFilter | RangeFilter, name: str) -> Any:
    column = getattr(Record, name)
    if isinstance(given, TermsFilter):
        return column.in_([_record_value(name, value) for value in given.values])
    conditions = []
    if given.ge is not None:
        conditions.append(column >= _record_value(name, given.ge))
    if given.le is not None:
        conditions.append(column <= _record_value(name, given.le))
    return every(conditions)


def _record_value(name: str, value: Any) -> Any:
    if name == "id":
        return UUID(str(value))
    if name.endswith("_at"):  # stored in UTC without a time zone
        moment = datetime.fromisoformat(str(value))
        return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
    return value


def _element_passes(given: TermsFilter | RangeFilter, table: Any, column: Any) -> Any:
    """Return the condition for one JSON element, a text or a number."""
    if isinstance(given, RangeFilter):
        number = cast(column, Float)
        low = [number >= float(given.ge)] if given.ge is not None else []
        high = [number <= float(given.le)] if given.le is not None else []
        return every(low + high)
    same = cast(column, String).in_([_text(value) for value in given.values])
    numbers = [float(value) for value in given.values if _NUMBER.fullmatch(str(value))]
    if IS_SQLITE and numbers:  # 3 and 3.0 are the same number
        return or_(same, and_(is_number(table), cast(column, Float).in_(numbers)))
    return same


def _text(value: Any) -> str:
    return str(getattr(value, "value", value))
