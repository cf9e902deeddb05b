"""People of an Argilla instance, made through its REST API: for tests, and for the demo's simulated annotator."""

import secrets
from typing import Literal

import httpx
from pydantic import BaseModel, ConfigDict, Field

from tornio.errors import Forbidden, Unavailable

Role = Literal["owner", "admin", "annotator"]


class ArgillaUser(BaseModel):
    """Someone who can log in."""

    model_config = ConfigDict(frozen=True)

    id: str
    username: str
    role: Role
    password: str = Field(repr=False)
    api_key: str = Field(repr=False)


def ensure_user(
    url: str,
    owner_api_key: str,
    username: str,
    *,
    role: Role = "annotator",
    workspaces: tuple[str, ...] = (),
    password: str | None = None,
) -> ArgillaUser:
    """Makes the user, or finds the one of that name, and a member of the workspaces, which are made if missing.

    An existing user keeps password and role: give the password it has. Raises `Forbidden` if the password is wrong
    or `owner_api_key` is no owner's, `Unavailable` if Argilla does not answer as expected.
    """
    password = password or secrets.token_urlsafe(16)
    with httpx.Client(base_url=f"{url}/api/v1", headers={"X-Argilla-Api-Key": owner_api_key}, timeout=30) as owner:
        new = {"username": username, "first_name": username, "password": password, "role": role}
        made = owner.post("/users", json=new)
        if made.status_code != httpx.codes.CONFLICT:
            _expect(made)
        key = _api_key(url, username, password)
        me = _expect(httpx.get(f"{url}/api/v1/me", headers={"X-Argilla-Api-Key": key}, timeout=30)).json()
        for workspace in workspaces:
            workspace_id = ensure_workspace(owner, workspace)
            joined = owner.post(f"/workspaces/{workspace_id}/users", json={"user_id": me["id"]})
            if joined.status_code != httpx.codes.CONFLICT:  # a member already
                _expect(joined)
    return ArgillaUser(id=me["id"], username=username, role=me["role"], password=password, api_key=key)


def ensure_workspace(owner: httpx.Client, name: str) -> str:
    """The id of the workspace of that name, made if missing; `owner` is a client of the API as an owner."""
    for workspace in _expect(owner.get("/me/workspaces")).json()["items"]:
        if workspace["name"] == name:
            return str(workspace["id"])
    return str(_expect(owner.post("/workspaces", json={"name": name})).json()["id"])


def _api_key(url: str, username: str, password: str) -> str:
    login = httpx.post(f"{url}/api/v1/token", data={"username": username, "password": password}, timeout=30)
    if login.status_code == httpx.codes.UNAUTHORIZED:
        raise Forbidden(f"Argilla has a user {username!r} already, with another password: give that one.")
    bearer = {"Authorization": f"Bearer {_expect(login).json()['access_token']}"}
    return str(_expect(httpx.get(f"{url}/api/v1/me", headers=bearer, timeout=30)).json()["api_key"])


def _expect(response: httpx.Response) -> httpx.Response:
    if response.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        raise Forbidden(f"Argilla refuses {response.request.url}: an owner's API key is needed.")
    if not response.is_success:
        raise Unavailable(
            f"Argilla answered {response.status_code} to {response.request.method} {response.request.url}: "
            f"{response.text[:300]}"
        )
    return response
