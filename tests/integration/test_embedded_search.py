"""Argilla's search on its own SQL database, asked through the SDK and REST as Tornio and annotators ask it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import argilla as rg
import httpx
import pytest

from services.embedded.argilla_users import ArgillaUser, ensure_user
from tests.integration.conftest import ArgillaAccess

pytestmark = pytest.mark.integration

LABELS = ("pos", "neg", "neu")
TOPICS = ("a", "b", "c")
COUNT = 120


@dataclass(frozen=True)
class Row:
    """What one record holds, and what the annotator answered."""

    number: int

    @property
    def id(self) -> str:
        return f"r{self.number}"

    @property
    def text(self) -> str:
        return f"document number {self.number} about {'cats' if self.number % 3 else 'dogs, wild'} Café"

    @property
    def batch(self) -> str:
        return str(self.number % 5)

    @property
    def loss(self) -> float:
        return round((self.number * 37 % COUNT) / 40, 4)

    @property
    def label(self) -> str:
        return LABELS[self.number % 3]

    @property
    def agent(self) -> str:
        return f"model-v{self.number % 2}"

    @property
    def score(self) -> float:
        return round((self.number * 13 % COUNT) / COUNT, 4)

    @property
    def status(self) -> str | None:
        """The annotator has answered the first 40: submitted, discarded, or a draft."""
        if self.number >= 40:
            return None
        return ("submitted", "submitted", "discarded", "draft")[self.number % 4]

    @property
    def topics(self) -> tuple[str, ...]:
        return ("a", "c") if self.number % 2 else ("b",)


ROWS = [Row(number) for number in range(COUNT)]


@dataclass(frozen=True)
class Search:
    """A data set with its owner and annotator."""

    dataset: Any
    owner: httpx.Client
    annotator: httpx.Client

    def ids(self, **query: Any) -> set[str]:
        """External ids that the SDK's query finds."""
        return {record.id for record in self.dataset.records(query=rg.Query(**query))}

    def filtered(self, *conditions: tuple[str, str, Any]) -> set[str]:
        return self.ids(filter=rg.Filter(list(conditions)))

    def rest(self, body: dict[str, Any], client: httpx.Client | None = None) -> tuple[list[str], int]:
        """External ids in order, and the total, by the search call of the web page."""
        client = client or self.owner
        scope = "me/datasets" if client is self.annotator else "datasets"
        url = f"/{scope}/{self.dataset.id}/records/search"
        answer = client.post(url, params={"limit": COUNT}, json=body).raise_for_status().json()
        return [item["record"]["external_id"] for item in answer["items"]], answer["total"]


@pytest.fixture(scope="module")
def sdk(argilla: ArgillaAccess) -> Iterator[rg.Argilla]:
    client = rg.Argilla(api_url=argilla.url, api_key=argilla.api_key)
    yield client
    client.http_client.close()


@pytest.fixture(scope="module")
def search(argilla: ArgillaAccess, sdk: rg.Argilla) -> Iterator[Search]:
    annotator = ensure_user(argilla.url, argilla.api_key, "searcher", workspaces=("search",))
    dataset = _make_dataset(sdk)
    dataset.records.log([_record(row) for row in ROWS])
    with _client(argilla, argilla.api_key) as owner, _client(argilla, annotator.api_key) as second:
        found = Search(dataset, owner, second)
        _answer(found, annotator)
        yield found


def _client(argilla: ArgillaAccess, key: str) -> httpx.Client:
    return httpx.Client(base_url=f"{argilla.url}/api/v1", headers={"X-Argilla-Api-Key": key}, timeout=60)


def _make_dataset(client: rg.Argilla) -> Any:
    settings = rg.Settings(
        guidelines="Label it",
        fields=[rg.TextField("text")],
        questions=[
            rg.LabelQuestion("label", labels=list(LABELS)),
            rg.MultiLabelQuestion("topics", labels=list(TOPICS), required=False),
        ],
        metadata=[
            rg.FloatMetadataProperty("loss"),
            rg.TermsMetadataProperty("batch"),
            rg.IntegerMetadataProperty("number"),
        ],
        vectors=[rg.VectorField("embedding", dimensions=2)],
        distribution=rg.TaskDistribution(min_submitted=1),
    )
    return rg.Dataset(name="search", workspace="search", client=client, settings=settings).create()


def _record(row: Row) -> rg.Record:
    return rg.Record(
        id=row.id,
        fields={"text": row.text},
        metadata={"loss": row.loss, "batch": row.batch, "number": row.number},
        suggestions=[
            rg.Suggestion("label", value=row.label, score=row.score, agent=row.agent),
            rg.Suggestion("topics", value=list(row.topics), score=[0.5] * len(row.topics), agent="topics-v1"),
        ],
        vectors={"embedding": [float(row.number), 100.0]},
    )


def _answer(search: Search, annotator: ArgillaUser) -> None:
    for record in search.dataset.records(with_suggestions=False):
        row = ROWS[int(record.id[1:])]
        if row.status is None:
            continue
        values = {"label": {"value": row.label}, "topics": {"value": list(row.topics)}}
        body = {"values": values, "status": row.status}
        search.annotator.post(f"/records/{record._server_id}/responses", json=body).raise_for_status()


def expected(holds: Callable[[Row], bool]) -> set[str]:
    ids = {row.id for row in ROWS if holds(row)}
    assert 0 < len(ids) < COUNT, "a query that finds nothing, or all, shows nothing"
    return ids


FILTERS: list[tuple[list[tuple[str, str, Any]], Callable[[Row], bool]]] = [
    ([("metadata.batch", "==", "3")], lambda row: row.batch == "3"),
    ([("metadata.batch", "in", ["1", "2"])], lambda row: row.batch in "12"),
    ([("metadata.loss", ">=", 2.0)], lambda row: row.loss >= 2.0),
    ([("metadata.loss", ">=", 1.0), ("metadata.loss", "<=", 1.5)], lambda row: 1.0 <= row.loss <= 1.5),
    ([("metadata.number", "<=", 9)], lambda row: row.number <= 9),
    ([("id", "in", ["r1", "r2"])], lambda row: row.number in (1, 2)),
    ([("status", "==", "completed")], lambda row: row.status == "submitted"),
    ([("response.status", "==", "submitted")], lambda row: row.status == "submitted"),
    ([("response.status", "==", "pending")], lambda row: row.status is None),
    ([("response.status", "in", ["discarded", "draft"])], lambda row: row.status in ("discarded", "draft")),
    (
        [("response.status", "==", "submitted"), ("metadata.batch", "==", "3")],
        lambda row: row.status == "submitted" and row.batch == "3",
    ),
    ([("label.response", "==", "neg")], lambda row: row.status is not None and row.label == "neg"),
    ([("topics.response", "in", ["c"])], lambda row: row.status is not None and "c" in row.topics),
    ([("label.suggestion", "==", "pos")], lambda row: row.label == "pos"),
    ([("topics.suggestion", "==", "a")], lambda row: "a" in row.topics),
    ([("label.score", ">=", 0.9)], lambda row: row.score >= 0.9),
    ([("label.agent", "==", "model-v0")], lambda row: row.agent == "model-v0"),
]


@pytest.mark.parametrize(("conditions", "holds"), FILTERS, ids=lambda value: str(value)[:60])
def test_filters(search: Search, conditions: list[tuple[str, str, Any]], holds: Callable[[Row], bool]) -> None:
    assert search.filtered(*conditions) == expected(holds)


@pytest.mark.parametrize(
    ("query", "holds"),
    [
        ("dogs", lambda row: row.number % 3 == 0),
        ("dog*", lambda row: row.number % 3 == 0),
        ("document -dogs", lambda row: row.number % 3 != 0),
        ('"number 1"', lambda row: row.number == 1),
        ("CAFÉ Dogs", lambda row: row.number % 3 == 0),
        ("7 | 8", lambda row: row.number in (7, 8)),
    ],
)
def test_text_search(search: Search, query: str, holds: Callable[[Row], bool]) -> None:
    assert search.ids(query=query) == expected(holds)


def test_text_and_filter_together(search: Search) -> None:
    found = search.ids(query="dogs", filter=rg.Filter([("metadata.batch", "==", "1")]))
    assert found == expected(lambda row: row.number % 3 == 0 and row.batch == "1")


def metadata(name: str) -> dict[str, str]:
    return {"entity": "metadata", "metadata_property": name}


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize(
    ("scope", "key"),
    [
        (metadata("loss"), lambda row: row.loss),
        (metadata("number"), lambda row: row.number),
        (metadata("batch"), lambda row: row.batch),
        ({"entity": "suggestion", "question": "label", "property": "score"}, lambda row: row.score),
        ({"entity": "suggestion", "question": "label", "property": "value"}, lambda row: row.label),
        ({"entity": "suggestion", "question": "label", "property": "agent"}, lambda row: row.agent),
        ({"entity": "record", "property": "inserted_at"}, lambda row: row.number),
    ],
)
def test_sorting(search: Search, scope: dict[str, str], key: Callable[[Row], Any], order: str) -> None:
    ids, total = search.rest({"sort": [{"scope": scope, "order": order}]})
    values = [key(ROWS[int(id[1:])]) for id in ids]
    assert total == len(set(ids)) == COUNT
    assert values == sorted(values, reverse=order == "desc")


def test_an_answer_sorts_before_none_in_both_directions(search: Search) -> None:
    for order in ("asc", "desc"):
        scope = {"entity": "response", "question": "label"}
        ids, _ = search.rest({"sort": [{"scope": scope, "order": order}]})
        answered = [ROWS[int(id[1:])] for id in ids[:40]]
        assert all(row.status is not None for row in answered)
        labels = [row.label for row in answered]
        assert labels == sorted(labels, reverse=order == "desc")


def test_an_annotator_sees_what_is_pending_in_an_order_of_their_own(search: Search) -> None:
    pending = {"type": "terms", "scope": {"entity": "response", "property": "status"}, "values": ["pending"]}
    ids, total = search.rest({"filters": {"and": [pending]}}, search.annotator)
    assert set(ids) == expected(lambda row: row.status is None)
    assert total == len(ids)
    again, _ = search.rest({"filters": {"and": [pending]}}, search.annotator)
    assert again == ids
    assert ids != sorted(ids, key=lambda id: int(id[1:])), "shuffled, so that two annotators start apart"


def test_pages_neither_repeat_nor_miss_a_record(search: Search) -> None:
    url = f"/datasets/{search.dataset.id}/records/search"
    body = {"sort": [{"scope": metadata("batch"), "order": "asc"}]}
    pages = [
        search.owner.post(url, params={"limit": 50, "offset": offset}, json=body).raise_for_status().json()
        for offset in (0, 50, 100)
    ]
    ids = [item["record"]["external_id"] for page in pages for item in page["items"]]
    assert len(ids) == len(set(ids)) == COUNT


def test_similarity(search: Search) -> None:
    """All vectors are (number, 100): the further along, the closer to the first axis."""
    assert _similar(search, most_similar=True) == ["r119", "r118", "r117"]
    assert _similar(search, most_similar=False) == ["r0", "r1", "r2"]


def _similar(search: Search, *, most_similar: bool) -> list[str]:
    similar = rg.Similar("embedding", [1.0, 0.0], most_similar=most_similar)
    return [record.id for record, _ in search.dataset.records(query=rg.Query(similar=similar), limit=3)]


def test_progress_and_metrics(search: Search) -> None:
    submitted = len(expected(lambda row: row.status == "submitted"))
    progress = search.dataset.progress()
    assert (progress["total"], progress["completed"]) == (COUNT, submitted)
    mine = search.annotator.get(f"/me/datasets/{search.dataset.id}/metrics").json()["responses"]
    assert (mine["submitted"], mine["discarded"], mine["draft"]) == (submitted, 10, 10)
    held = search.owner.get(f"/me/datasets/{search.dataset.id}/metadata-properties").json()["items"]
    found = {item["name"]: search.owner.get(f"/metadata-properties/{item['id']}/metrics").json() for item in held}
    assert (found["number"]["min"], found["number"]["max"]) == (0, COUNT - 1)
    assert found["loss"]["max"] == max(row.loss for row in ROWS)
    assert found["batch"]["values"] == [{"term": str(batch), "count": COUNT // 5} for batch in range(5)]


def test_updates_and_deletions_are_found_at_once(search: Search, sdk: rg.Argilla) -> None:
    dataset = rg.Dataset(
        name="changing",
        workspace="search",
        client=sdk,
        settings=rg.Settings(
            fields=[rg.TextField("text")],
            questions=[rg.LabelQuestion("label", labels=list(LABELS))],
            metadata=[rg.TermsMetadataProperty("batch")],
        ),
    ).create()
    changing = Search(dataset, search.owner, search.annotator)
    for batch in ("old", "new"):
        dataset.records.log(
            [rg.Record(id=row.id, fields={"text": row.text}, metadata={"batch": batch}) for row in ROWS[:10]]
        )
    assert len(changing.filtered(("metadata.batch", "==", "new"))) == 10
    assert changing.filtered(("metadata.batch", "==", "old")) == set()
    dataset.records.delete(records=list(dataset.records(limit=4)))
    assert len(changing.filtered(("metadata.batch", "==", "new"))) == 6
    assert dataset.progress()["total"] == 6
