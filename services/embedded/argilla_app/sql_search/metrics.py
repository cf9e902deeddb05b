"""Counts and ranges: progress of a data set or user, and the values of a metadata property."""

from typing import Any

from argilla_server.enums import MetadataPropertyType
from argilla_server.models import Dataset, MetadataProperty, Record, Response, User
from argilla_server.search_engine.base import (
    FloatMetadataMetrics,
    IntegerMetadataMetrics,
    MetadataMetrics,
    TermsMetrics,
)
from sqlalchemy import String, cast, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from .database import elements


async def dataset_progress(db: AsyncSession, dataset: Dataset) -> dict[str, int]:
    """Return the number of records by status, and their total."""
    statement = select(Record.status, func.count()).where(Record.dataset_id == dataset.id)
    return await _by_status(db, statement.group_by(Record.status))


async def user_progress(db: AsyncSession, dataset: Dataset, user: User) -> dict[str, int]:
    """Return the number of the user's responses by status, and their total."""
    statement = (
        select(Response.status, func.count())
        .join(Record, Record.id == Response.record_id)
        .where(Record.dataset_id == dataset.id, Response.user_id == user.id)
    )
    return await _by_status(db, statement.group_by(Response.status))


async def metadata_metrics(db: AsyncSession, held: MetadataProperty) -> MetadataMetrics:
    """Return terms with their counts, most frequent first; for numbers the minimum and maximum."""
    if held.type == MetadataPropertyType.terms:
        return await _term_counts(db, held)
    number = Record.metadata_[held.name].as_float()
    statement = select(func.min(number), func.max(number)).where(Record.dataset_id == held.dataset_id)
    low, high = (await db.execute(statement)).one()
    kind = IntegerMetadataMetrics if held.type == MetadataPropertyType.integer else FloatMetadataMetrics
    return kind(min=low, max=high)


async def _term_counts(db: AsyncSession, held: MetadataProperty) -> TermsMetrics:
    table, column = elements(Record.metadata_, held.name)
    term = cast(column, String)
    statement = (
        select(term, func.count())
        .select_from(Record, table)
        .where(Record.dataset_id == held.dataset_id, column.is_not(None))
        .group_by(term)
        .order_by(func.count().desc(), term)
    )
    rows = (await db.execute(statement)).all()
    counts = [TermsMetrics.TermCount(term=name, count=count) for name, count in rows]
    return TermsMetrics(total=sum(count.count for count in counts), values=counts)


async def _by_status(db: AsyncSession, statement: Any) -> dict[str, int]:
    counts = {status.value: count for status, count in (await db.execute(statement)).all()}
    return {"total": sum(counts.values()), **counts}
