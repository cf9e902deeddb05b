"""A sweep misses nothing while records come and go under it, on a server that a test changes between two pages."""

from __future__ import annotations

import json
from collections.abc import Callable

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tornio.annotation import argilla
from tornio.annotation.argilla import ArgillaTool
from tornio.errors import Unavailable
from tornio.settings import annotation_address

pytestmark = pytest.mark.unit

PAGE = 4


class Listing:
    """Argilla's REST API as far as a sweep needs it; ``between`` runs before every page."""

    def __init__(self, ids: list[str], between: Callable[[list[str]], None]) -> None:
        self.ids = ids
        self._between = between

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/api/v1/")
        if path == "datasets/d/records":
            self._between(self.ids)
            offset, limit = int(request.url.params["offset"]), int(request.url.params["limit"])
            items = [self._record(record_id) for record_id in self.ids[offset : offset + limit]]
            return httpx.Response(200, json={"items": items, "total": len(self.ids)})
        options = [{"value": "a"}, {"value": "b"}]
        question = {"id": "q", "name": "label", "settings": {"type": "label_selection", "options": options}}
        dataset = {"id": "d", "name": "mood", "status": "ready", "distribution": {"min_submitted": 1}}
        answers: dict[str, object] = {
            "version": {"version": "2.8.0"},
            "me/workspaces": {"items": [{"id": "w", "name": "team"}]},
            "me/datasets": {"items": [dataset]},
            "datasets/d/fields": {"items": [{"name": "text", "required": True}]},
            "datasets/d/questions": {"items": [question]},
            "me/datasets/d/metadata-properties": {"items": []},
        }
        return httpx.Response(200, content=json.dumps(answers[path]))

    @staticmethod
    def _record(record_id: str) -> dict[str, object]:
        values = {"label": {"value": "a"}}
        times = {"updated_at": "2025-01-01T00:00:00"}
        response = {"id": record_id, "user_id": "u", "status": "submitted", "values": values, **times}
        return {"id": record_id, "external_id": record_id, "metadata": None, "responses": [response]}


def sweep(listing: Listing) -> list[str]:
    with ArgillaTool("http://argilla.example", "key", transport=httpx.MockTransport(listing)) as tool:
        return [record.record_id for record in tool.sweep("team", "mood")]


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(argilla, "PAGE", PAGE)


@given(
    st.integers(0, 6 * PAGE),
    st.lists(st.tuples(st.integers(0, 3), st.lists(st.integers(0, 40), max_size=3)), max_size=20),
)
def test_what_was_there_all_along_is_listed(size: int, changes: list[tuple[int, list[int]]]) -> None:
    """Each change adds some records at the end and deletes some anywhere. Giving up is allowed, missing one is not."""
    added = iter(range(1000))
    upcoming = iter(changes)

    def change(ids: list[str]) -> None:
        more, deleted = next(upcoming, (0, []))
        for position in deleted:
            if position < len(ids):
                del ids[position]
        ids.extend(f"new-{next(added)}" for _ in range(more))

    listing = Listing([f"r{n}" for n in range(size)], between=change)
    start = set(listing.ids)
    try:
        found = sweep(listing)
    except Unavailable:
        return
    assert len(found) == len(set(found))
    assert start & set(listing.ids) <= set(found)


def test_pages_are_at_the_address_that_people_use() -> None:
    inside, outside = "http://argilla.tools.svc:6900", "https://argilla.acme.example/"
    for public, start in ((outside, outside), (None, f"{inside}/"), ("", f"{inside}/")):
        transport = httpx.MockTransport(Listing([], lambda ids: None))
        with ArgillaTool(inside, "key", public_url=public, transport=transport) as tool:
            assert tool.page("team", "mood", "loss").startswith(f"{start}dataset/d/annotation-mode?")
    environment = {"TORNIO_ARGILLA_URL": inside}
    assert annotation_address({}) is None
    assert annotation_address(environment) == inside
    assert annotation_address({**environment, "TORNIO_ARGILLA_PUBLIC_URL": outside}) == outside
    assert annotation_address({**environment, "TORNIO_ARGILLA_PUBLIC_URL": ""}) == inside


def test_deletions_alone_never_make_it_give_up() -> None:
    def delete_the_first(ids: list[str]) -> None:
        del ids[0]

    listing = Listing([f"r{n}" for n in range(6 * PAGE)], between=delete_the_first)
    found = sweep(listing)
    assert set(listing.ids) <= set(found)


def test_a_listing_that_never_holds_still_is_unavailable() -> None:
    """Two orders in turn: what the database may do where records share a time of creation."""
    with pytest.raises(Unavailable, match="changes faster"):
        sweep(Listing([f"r{n}" for n in range(3 * PAGE)], between=lambda ids: ids.insert(0, ids.pop())))
