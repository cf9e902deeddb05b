"""A simulated annotator: a second user of Argilla who answers through its REST API, and sometimes errs."""

from __future__ import annotations

import csv
import hashlib
import logging
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from examples.support.background import Background

log = logging.getLogger(__name__)
WRONG, DISCARDED = 0.03, 0.02
"""Share of wrong answers, and share of discarded records, as with people."""
PAUSE_S = 0.2
"""Seconds between two checks for records to answer."""
AWAY_S = 1.0
"""Seconds before another try when Argilla does not respond."""


def known_answers(path: Path) -> dict[str, str]:
    """Return record id -> label, from a CSV with the columns id and label."""
    with path.open(newline="") as file:
        return {row["id"]: row["label"] for row in csv.DictReader(file)}


class Annotator(Background):
    """Answers all pending records of a data set.

    The owner's key is used to create the annotator's account and to add it to the workspace, and not afterwards: the
    annotator answers with its own account.
    """

    def __init__(
        self,
        argilla_url: str,
        owner_key: str,
        task: str,
        answers: Mapping[str, str],
        labels: Sequence[str],
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        super().__init__()
        self.answered = 0
        self._workspace, self._dataset = task.split("/")
        self.name = f"annotator-{self._dataset}"
        self._url, self._owner_key, self._transport = argilla_url, owner_key, transport
        self._answers, self._labels = answers, labels

    def run(self) -> None:
        me: httpx.Client | None = None
        while not self.ended.wait(PAUSE_S):
            try:
                if me is None:
                    me = self._log_in()
                else:
                    self._answer_all(me)
            except httpx.HTTPError as error:  # Argilla is starting; people would try again, too
                log.warning("%s: %s", self.name, error)
                self.ended.wait(AWAY_S)
        if me is not None:
            me.close()

    def _client(self, headers: Mapping[str, str]) -> httpx.Client:
        return httpx.Client(base_url=self._url, headers=headers, timeout=30, transport=self._transport)

    def _log_in(self) -> httpx.Client | None:
        """Return the annotator's own session; None while the workspace does not exist."""
        with self._client({"X-Argilla-Api-Key": self._owner_key}) as owner:
            workspaces = _json(owner.get("/api/v1/me/workspaces"))["items"]
            ids = [space["id"] for space in workspaces if space["name"] == self._workspace]
            if not ids:
                return None
            users = {user["username"]: user["id"] for user in _json(owner.get("/api/v1/users"))["items"]}
            if self.name in users:  # left over from an interrupted try; its password is lost
                owner.delete(f"/api/v1/users/{users[self.name]}").raise_for_status()
            password = secrets.token_urlsafe(16)
            user = {"username": self.name, "first_name": self.name, "role": "annotator", "password": password}
            created = _json(owner.post("/api/v1/users", json=user))
            owner.post(f"/api/v1/workspaces/{ids[0]}/users", json={"user_id": created["id"]}).raise_for_status()
        me = self._client({})
        token = _json(me.post("/api/v1/token", data={"username": self.name, "password": password}))["access_token"]
        me.headers["Authorization"] = f"Bearer {token}"
        return me

    def _answer_all(self, me: httpx.Client) -> None:
        for dataset in _json(me.get("/api/v1/me/datasets"))["items"]:
            if dataset["name"] == self._dataset:
                for record in self._pending(me, dataset["id"]):
                    if self.ended.is_set():
                        return
                    body = response(self.name, record["external_id"], self._answers, self._labels)
                    me.post(f"/api/v1/records/{record['id']}/responses", json=body).raise_for_status()
                    self.answered += 1

    def _pending(self, me: httpx.Client, dataset_id: str) -> list[dict[str, Any]]:
        scope = {"entity": "response", "property": "status"}
        body = {"filters": {"and": [{"type": "terms", "scope": scope, "values": ["pending"]}]}}
        response_ = me.post(f"/api/v1/me/datasets/{dataset_id}/records/search", params={"limit": 100}, json=body)
        return [item["record"] for item in _json(response_)["items"]]


def response(name: str, record_id: str, answers: Mapping[str, str], labels: Sequence[str]) -> dict[str, Any]:
    """Return the annotator's response to a record, as Argilla's JSON. It is the same for every call."""
    dice = hashlib.sha256(f"{name}:{record_id}".encode()).digest()
    draw = int.from_bytes(dice[:4], "big") / 2**32
    if draw < DISCARDED:
        return {"status": "discarded", "values": {}}
    label = answers[record_id]
    if draw < DISCARDED + WRONG:
        others = [other for other in labels if other != label]
        label = others[dice[4] % len(others)]
    return {"status": "submitted", "values": {"label": {"value": label}}}


def _json(response: httpx.Response) -> Any:
    response.raise_for_status()
    return response.json()
