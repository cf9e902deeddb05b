"""The search engine that Argilla's server uses, registered under the name ``sql``."""

from typing import Any
from uuid import UUID

from argilla_server.enums import SimilarityOrder
from argilla_server.models import Dataset, MetadataProperty, Record, User, Vector, VectorSettings
from argilla_server.search_engine.base import (
    Filter,
    MetadataMetrics,
    Order,
    SearchEngine,
    SearchResponseItem,
    SearchResponses,
    TextQuery,
)
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from .database import Session, engine
from .filters import filter_condition
from .metrics import dataset_progress, metadata_metrics, user_progress
from .ordering import order_by
from .similarity import nearest
from .text import text_condition


@SearchEngine.register(engine_name="sql")
class SqlSearchEngine(SearchEngine):
    """Answers from the server's own database. A new instance is created per request, so it keeps no state."""

    @classmethod
    async def new_instance(cls) -> "SqlSearchEngine":
        return cls()

    async def close(self) -> None: ...

    async def ping(self) -> bool:
        async with Session() as db:
            return bool((await db.execute(select(1))).scalar() == 1)

    async def info(self) -> dict[str, Any]:
        return {"name": "sql", "version": {"number": "1", "dialect": engine.dialect.name}}

    # Notifications of changes that the database has already: nothing to do.
    async def create_index(self, dataset: Any) -> None: ...
    async def delete_index(self, dataset: Any) -> None: ...
    async def configure_metadata_property(self, dataset: Any, metadata_property: Any) -> None: ...
    async def configure_index_vectors(self, vector_settings: Any) -> None: ...
    async def index_records(self, dataset: Any, records: Any) -> None: ...
    async def partial_record_update(self, record: Any, **update: Any) -> None: ...
    async def delete_records(self, dataset: Any, records: Any) -> None: ...
    async def update_record_response(self, response: Any) -> None: ...
    async def delete_record_response(self, response: Any) -> None: ...
    async def update_record_suggestion(self, suggestion: Any) -> None: ...
    async def delete_record_suggestion(self, suggestion: Any) -> None: ...

    async def get_dataset_progress(self, dataset: Dataset) -> dict[str, int]:
        if dataset.is_draft:
            return {}
        async with Session() as db:
            return await dataset_progress(db, dataset)

    async def get_dataset_user_progress(self, dataset: Dataset, user: User) -> dict[str, int]:
        if dataset.is_draft:
            return {}
        async with Session() as db:
            return await user_progress(db, dataset, user)

    async def compute_metrics_for(self, metadata_property: MetadataProperty) -> MetadataMetrics:
        async with Session() as db:
            return await metadata_metrics(db, metadata_property)

    async def search(
        self,
        dataset: Dataset,
        query: TextQuery | str | None = None,
        filter: Filter | None = None,
        sort: list[Order] | None = None,
        offset: int = 0,
        limit: int = 100,
        user_id: UUID | None = None,  # the server passes it, although the abstract method lacks it
    ) -> SearchResponses:
        async with Session() as db:
            conditions = await _conditions(db, dataset, query, filter)
            total = (await db.execute(select(func.count()).select_from(Record).where(*conditions))).scalar_one()
            keys = await order_by(db, dataset, sort, user_id)
            page = select(Record.id).where(*conditions).order_by(*keys).offset(offset).limit(limit)
            items = [SearchResponseItem(record_id=id, score=1.0) for id in (await db.execute(page)).scalars()]
            return SearchResponses(items=items, total=total)

    async def similarity_search(
        self,
        dataset: Dataset,
        vector_settings: VectorSettings,
        value: list[float] | None = None,
        record: Record | None = None,
        query: TextQuery | str | None = None,
        filter: Filter | None = None,
        max_results: int = 100,
        order: SimilarityOrder = SimilarityOrder.most_similar,
        threshold: float | None = None,
    ) -> SearchResponses:
        if (value is None) == (record is None):
            raise ValueError("Similarity search needs either a vector or a record, and not both.")
        probe = value if record is None else record.vector_value_by_vector_settings(vector_settings)
        if not probe:
            raise ValueError(f"There is no vector {vector_settings.name!r} to compare with.")
        async with Session() as db:
            conditions = await _conditions(db, dataset, query, filter)
            if record is not None:
                conditions.append(Record.id != record.id)
            vectors = select(Record.id, Vector.value).join(Vector, Vector.record_id == Record.id)
            statement = vectors.where(Vector.vector_settings_id == vector_settings.id, *conditions)
            rows = [(id, vector) for id, vector in (await db.execute(statement)).all()]
        best = nearest(rows, probe, order, max_results, threshold)
        items = [SearchResponseItem(record_id=id, score=score) for id, score in best]
        return SearchResponses(items=items, total=len(items))


async def _conditions(
    db: AsyncSession, dataset: Dataset, query: TextQuery | str | None, given: Filter | None
) -> list[Any]:
    conditions = [Record.dataset_id == dataset.id, await text_condition(db, dataset, query)]
    if given is not None:
        conditions.append(filter_condition(given))
    return conditions
