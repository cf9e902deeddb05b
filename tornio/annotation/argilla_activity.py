"""When the data sets of Argilla last changed, by one request for all of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from datetime import datetime

from tornio.annotation import argilla_wire as wire
from tornio.annotation.argilla_api import ArgillaApi
from tornio.errors import Forbidden, NotFound


class ActivityListing:
    """Lists the data sets that the account sees: those of one workspace, or of all if several are asked for.

    Argilla moves ``last_activity_at`` in the transaction that writes, changes or deletes a response, of any status.
    """

    def __init__(self, api: ArgillaApi) -> None:
        self._api = api
        self._ids: Mapping[str, str] = {}
        """Of workspaces, by name."""

    def __call__(self, workspaces: Collection[str]) -> Mapping[tuple[str, str], datetime]:
        with suppress(Forbidden, NotFound):  # a workspace was deleted, and its id with it
            found = self._list(workspaces)
            if {workspace for workspace, _ in found} == set(workspaces):
                return found
        self._ids = {item["name"]: item["id"] for item in self._api.get("me/workspaces")["items"]}
        return self._list(workspaces)

    def _list(self, workspaces: Collection[str]) -> Mapping[tuple[str, str], datetime]:
        names = {self._ids[name]: name for name in workspaces if name in self._ids}
        if not names:
            return {}
        only = {"workspace_id": next(iter(names))} if len(names) == 1 else {}
        return {
            (names[item["workspace_id"]], item["name"]): wire.moment(item["last_activity_at"])
            for item in self._api.get("me/datasets", **only)["items"]
            if item["workspace_id"] in names
        }
