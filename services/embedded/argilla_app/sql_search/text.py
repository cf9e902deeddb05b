"""Full-text conditions: a parsed query is matched against the text fields of a record."""

from typing import Any

from argilla_server.models import Dataset, Field, Record
from argilla_server.search_engine.base import TextQuery
from sqlalchemy import and_, or_, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from .query_syntax import Term, parse


async def text_condition(db: AsyncSession, dataset: Dataset, query: TextQuery | str | None) -> Any:
    """Return the SQL condition for records that match `query`; without a query it is true for all."""
    if query is None:
        return true()
    text_query = TextQuery(q=query) if isinstance(query, str) else query
    if text_query.field:
        names = [text_query.field]
    else:
        names = list((await db.execute(select(Field.name).where(Field.dataset_id == dataset.id))).scalars())
    alternatives = [and_(*[_occurs(term, names) for term in terms]) for terms in parse(text_query.q)]
    return or_(*alternatives) if alternatives else true()


def _occurs(term: Term, fields: list[str]) -> Any:
    # SQLite uses Python's `re`, as its own lower() only knows ASCII. Both dialects accept (?i) at the start.
    pattern = "(?i)" + term.pattern
    matches = or_(*[Record.fields[name].as_string().regexp_match(pattern) for name in fields])
    return ~matches if term.negated else matches
