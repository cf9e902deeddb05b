"""The search engine's own connections to the server's database, and JSON columns in both SQL dialects."""

from typing import Any

from argilla_server.settings import settings
from sqlalchemy import Engine, and_, case, event, func, true
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

# A separate pool: a request that searches already holds one of the server's connections.
engine = create_async_engine(settings.database_url, **settings.database_engine_args)
Session = async_sessionmaker(bind=engine, expire_on_commit=False)
IS_SQLITE: bool = settings.database_is_sqlite

if IS_SQLITE:

    @event.listens_for(Engine, "connect")
    def _readers_do_not_block_the_writer(connection: Any, _: Any) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = NORMAL")
        cursor.close()


def elements(document: Any, *path: str) -> tuple[Any, Any]:
    """Return the elements of the JSON value at `path` as rows (a scalar is one row): (table, column of the element).

    Joining the table to a row of `document` multiplies that row by its elements.
    """
    if IS_SQLITE:
        table = func.json_each(document, "$" + "".join(f'."{key}"' for key in path)).table_valued("value", "type")
        return table, table.c.value
    node = document
    for key in path:
        node = node[key]
    array = case((func.json_typeof(node) == "array", node), else_=func.json_build_array(node))
    table = func.json_array_elements_text(array).table_valued("value")
    return table, table.c.value


def is_number(table: Any) -> Any:
    """SQLite only: whether an element of `elements` is a JSON number. PostgreSQL returns text only."""
    return table.c.type.in_(["integer", "real"])


def every(conditions: list[Any]) -> Any:
    """Return the conjunction of the conditions; true if there are none."""
    return and_(true(), *conditions)
