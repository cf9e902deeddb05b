"""An annotator for benchmarks: an account that answers one batch at a time through Argilla's own API."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from services.embedded.argilla_users import ensure_user
from services.embedded.stack import Addresses


class Person:
    """Answers its pending records with the given labels."""

    def __init__(self, addresses: Addresses, workspace: str, dataset: str, answers: Mapping[str, str]) -> None:
        password = secrets.token_urlsafe(16)
        user = ensure_user(addresses.argilla_url, addresses.argilla_api_key, "person", workspaces=(workspace,),
                           password=password,)  # fmt: skip
        self._api = httpx.Client(
            base_url=f"{addresses.argilla_url}/api/v1", headers={"X-Argilla-Api-Key": user.api_key}, timeout=30
        )
        self._dataset, self._answers = dataset, answers
        self._dataset_id: str | None = None

    def pending(self) -> list[dict[str, Any]]:
        """Return the records that wait for this annotator; empty while there is no data set."""
        if self._dataset_id is None:
            response = self._api.get("/me/datasets").raise_for_status().json()["items"]
            self._dataset_id = next((d["id"] for d in response if d["name"] == self._dataset), None)
            if self._dataset_id is None:
                return []
        scope = {"entity": "response", "property": "status"}
        body = {"filters": {"and": [{"type": "terms", "scope": scope, "values": ["pending"]}]}}
        path = f"/me/datasets/{self._dataset_id}/records/search"
        response = self._api.post(path, params={"limit": 200}, json=body)
        return [item["record"] for item in response.raise_for_status().json()["items"]]

    def wait(self, count: int, seconds: float, until: Callable[[], bool] = lambda: False) -> list[dict[str, Any]]:
        """Wait until ``count`` records are pending, or fewer if ``until`` returns that no more will come."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            records = self.pending()
            if len(records) >= count or (not records and until()):
                return records
            time.sleep(0.05)
        raise TimeoutError(f"no batch came within {seconds:.0f} s")

    def answer(self, records: list[dict[str, Any]]) -> float:
        """Answer all records. Returns the (monotonic) time in seconds of the last answer."""
        for record in records:
            values = {"label": {"value": self._answers[record["external_id"]]}}
            body = {"status": "submitted", "values": values}
            self._api.post(f"/records/{record['id']}/responses", json=body).raise_for_status()
        return time.monotonic()
