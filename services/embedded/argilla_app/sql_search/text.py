"""Full-text conditions: a parsed query against the text fields of a record."""

from typing import Any

from argilla_server.models import Dataset, Field, Record
from argilla_server.search_engine.base import TextQuery
from sqlalchemy import and_, or_, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from .query_syntax import Term, parse


async def text_condition(db: AsyncSession, dataset: Dataset, query: TextQuery | str | None) -> Any:
    """True of the dataset's records that `query` finds; of all, without a query."""
    if query is None:
        return true()
    asked = TextQuery(q=query) if isinstance(query, str) else query
    if asked.field:
        names = [asked.field]
    else:
        names = list((await db.execute(select(Field.name).where(Field.dataset_id == dataset.id))).scalars())
    alternatives = [and_(*[_occurs(term, names) for term in terms]) for terms in parse(asked.q)]
    return or_(*alternatives) if alternatives else true()


def _occurs(term: Term, fields: list[str]) -> Any:
    # SQLite matches by Python's `re`: its own lower() knows ASCII alone. Both dialects take (?i) at the start.
    pattern = "(?i)" + term.pattern
    found = or_(*[Record.fields[name].as_string().regexp_match(pattern) for name in fields])
    return ~found if term.negated else found
