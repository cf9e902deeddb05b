"""Argilla's sort orders as SQL."""

from typing import Any
from uuid import UUID

from argilla_server.enums import MetadataPropertyType, SortOrder
from argilla_server.models import Dataset, MetadataProperty, Question, Record, Response, Suggestion
from argilla_server.search_engine.base import (
    MetadataFilterScope,
    Order,
    RecordFilterScope,
    ResponseFilterScope,
    SuggestionFilterScope,
)
from sqlalchemy import Float, String, cast, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from .database import elements
from .filters import of_question, of_responses


async def order_by(db: AsyncSession, dataset: Dataset, sort: list[Order] | None, user_id: UUID | None) -> list[Any]:
    """Return sort keys that always end in a total order. Without `sort` they are a stable shuffle per user."""
    keys: list[Any] = []
    if sort:
        numeric = await _numeric_names(db, dataset)
        keys = [_key(order, numeric) for order in sort]
    elif user_id is not None:  # record ids are random, so any part of them gives a shuffle
        keys = [func.substr(cast(Record.id, String), int(UUID(str(user_id))) % 24 + 1)]
    return [*keys, Record.inserted_at.asc(), Record.id.asc()]


async def _numeric_names(db: AsyncSession, dataset: Dataset) -> set[tuple[str, str]]:
    """Return the metadata properties and questions that hold numbers: JSON values sort by their declared type."""
    properties = await db.execute(select(MetadataProperty).where(MetadataProperty.dataset_id == dataset.id))
    questions = await db.execute(select(Question).where(Question.dataset_id == dataset.id))
    return {
        *(("metadata", row.name) for row in properties.scalars() if row.type != MetadataPropertyType.terms),
        *(("question", row.name) for row in questions.scalars() if row.is_rating),
    }


def _key(order: Order, numeric: set[tuple[str, str]]) -> Any:
    scope, ascending = order.scope, order.order == SortOrder.asc
    if isinstance(scope, MetadataFilterScope):
        value = Record.metadata_[scope.metadata_property]
        is_numeric = ("metadata", scope.metadata_property) in numeric
        key = value.as_float() if is_numeric else value.as_string()
    elif isinstance(scope, RecordFilterScope):
        key = getattr(Record, scope.property)
    elif isinstance(scope, SuggestionFilterScope):
        key = _suggestion_key(scope, ascending, ("question", scope.question) in numeric)
    elif isinstance(scope, ResponseFilterScope):
        key = _response_key(scope, ascending, ("question", scope.question or "") in numeric)
    else:
        raise ValueError(f"Cannot sort by {scope!r}: the search engine does not support this scope.")
    return (key.asc() if ascending else key.desc()).nulls_last()


def _suggestion_key(scope: SuggestionFilterScope, ascending: bool, numeric: bool) -> Any:
    if scope.property in ("agent", "type"):
        column = cast(getattr(Suggestion, scope.property), String)
        statement = select(func.min(column)).select_from(Suggestion, Question)
    else:
        table, column = elements(getattr(Suggestion, scope.property))
        if numeric or scope.property == "score":
            column = cast(column, Float)
        best = func.min(column) if ascending else func.max(column)
        statement = select(best).select_from(Suggestion, Question, table)
    return statement.where(*of_question(scope)).correlate(Record).scalar_subquery()


def _response_key(scope: ResponseFilterScope, ascending: bool, numeric: bool) -> Any:
    if scope.question:
        table, column = elements(Response.values, scope.question, "value")
        extreme = func.min(column) if ascending else func.max(column)
        best = func.avg(cast(column, Float)) if numeric else extreme
        statement = select(best).select_from(Response, table)
    else:
        column = cast(getattr(Response, scope.property or "status"), String)
        statement = select(func.min(column)).select_from(Response)
    return statement.where(*of_responses(scope)).correlate(Record).scalar_subquery()
