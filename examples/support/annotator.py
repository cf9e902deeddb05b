"""A simulated annotator: a second user of Argilla, who answers through its REST API, and errs now and then."""

from __future__ import annotations

import csv
import hashlib
import logging
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

log = logging.getLogger(__name__)
WRONG, DISCARDED = 0.03, 0.02
"""Share of answers that are wrong, and of records that are discarded, as with people."""


def known_answers(path: Path) -> dict[str, str]:
    """record id -> label, from a CSV with the columns id and label."""
    with path.open(newline="") as file:
        return {row["id"]: row["label"] for row in csv.DictReader(file)}


@dataclass
class Annotator:
    """Answers whatever is pending for it in a data set, in a thread of its own, until ``end``."""

    url: str
    owner_key: str
    workspace: str
    dataset: str
    answers: Mapping[str, str]
    labels: tuple[str, ...]
    name: str = "annotator"
    pause_s: float = 0.2
    answered: int = 0
    _end: threading.Event = field(default_factory=threading.Event)

    def start(self) -> threading.Thread:
        thread = threading.Thread(target=self.run, daemon=True, name=f"annotator-{self.dataset}")
        thread.start()
        return thread

    def end(self) -> None:
        self._end.set()

    def run(self) -> None:
        me: httpx.Client | None = None
        while not self._end.wait(self.pause_s):
            try:
                if me is None:
                    me = self._log_in()
                else:
                    self._answer_all(me)
            except httpx.HTTPError as error:  # Argilla starts, or restarts: people would try again, too
                log.warning("%s: %s", self.name, error)
                self._end.wait(1.0)

    def _log_in(self) -> httpx.Client | None:
        """The annotator's own session; None while the workspace is not there yet."""
        with httpx.Client(base_url=self.url, headers={"X-Argilla-Api-Key": self.owner_key}, timeout=30) as owner:
            workspaces = _json(owner.get("/api/v1/me/workspaces"))["items"]
            found = [w["id"] for w in workspaces if w["name"] == self.workspace]
            if not found:
                return None
            users = {u["username"]: u["id"] for u in _json(owner.get("/api/v1/users"))["items"]}
            if self.name in users:  # from an earlier run, whose password nobody kept
                owner.delete(f"/api/v1/users/{users[self.name]}").raise_for_status()
            password = secrets.token_urlsafe(16)
            user = {"username": self.name, "first_name": self.name, "role": "annotator", "password": password}
            made = _json(owner.post("/api/v1/users", json=user))
            owner.post(f"/api/v1/workspaces/{found[0]}/users", json={"user_id": made["id"]}).raise_for_status()
        me = httpx.Client(base_url=self.url, timeout=30)
        token = _json(me.post("/api/v1/token", data={"username": self.name, "password": password}))["access_token"]
        me.headers["Authorization"] = f"Bearer {token}"
        return me

    def _answer_all(self, me: httpx.Client) -> None:
        datasets = _json(me.get("/api/v1/me/datasets"))["items"]
        for dataset in datasets:
            if dataset["name"] == self.dataset:
                for record in self._pending(me, dataset["id"]):
                    if self._end.is_set():
                        return
                    body = self._response(record["external_id"])
                    me.post(f"/api/v1/records/{record['id']}/responses", json=body).raise_for_status()
                    self.answered += 1

    def _pending(self, me: httpx.Client, dataset_id: str) -> list[dict[str, Any]]:
        scope = {"entity": "response", "property": "status"}
        body = {"filters": {"and": [{"type": "terms", "scope": scope, "values": ["pending"]}]}}
        found = me.post(f"/api/v1/me/datasets/{dataset_id}/records/search", params={"limit": 100}, json=body)
        return [item["record"] for item in _json(found)["items"]]

    def _response(self, record_id: str) -> dict[str, Any]:
        """What this annotator says of a record: the same every time, whoever runs it."""
        dice = hashlib.sha256(f"{self.name}:{record_id}".encode()).digest()
        draw = int.from_bytes(dice[:4], "big") / 2**32
        if draw < DISCARDED:
            return {"status": "discarded", "values": {}}
        label = self.answers[record_id]
        if draw < DISCARDED + WRONG:
            others = [name for name in self.labels if name != label]
            label = others[dice[4] % len(others)]
        return {"status": "submitted", "values": {"label": {"value": label}}}


def _json(response: httpx.Response) -> Any:
    response.raise_for_status()
    return response.json()
