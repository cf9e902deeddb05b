"""Create users of an Argilla instance through its REST API: for tests, and for the demo's simulated annotator."""

import secrets
from typing import Literal

import httpx
from pydantic import BaseModel, ConfigDict, Field

from tornio.errors import Forbidden, Unavailable

Role = Literal["owner", "admin", "annotator"]


class ArgillaUser(BaseModel):
    """A user who can log in."""

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
    """Create the user, or find the existing one of that name, and add it to the workspaces (created if missing).

    An existing user keeps password and role, so pass its password. Raises `Forbidden` if the password is wrong or
    `owner_api_key` is not that of an owner, `Unavailable` if Argilla does not respond as expected.
    """
    password = password or secrets.token_urlsafe(16)
    with httpx.Client(base_url=f"{url}/api/v1", headers={"X-Argilla-Api-Key": owner_api_key}, timeout=30) as owner:
        new = {"username": username, "first_name": username, "password": password, "role": role}
        created = owner.post("/users", json=new)
        if created.status_code != httpx.codes.CONFLICT:
            _expect(created)
        key = _api_key(url, username, password)
        me = _expect(httpx.get(f"{url}/api/v1/me", headers={"X-Argilla-Api-Key": key}, timeout=30)).json()
        for workspace in workspaces:
            workspace_id = ensure_workspace(owner, workspace)
            joined = owner.post(f"/workspaces/{workspace_id}/users", json={"user_id": me["id"]})
            if joined.status_code != httpx.codes.CONFLICT:  # already a member
                _expect(joined)
    return ArgillaUser(id=me["id"], username=username, role=me["role"], password=password, api_key=key)


def ensure_workspace(owner: httpx.Client, name: str) -> str:
    """Return the id of the workspace of that name, created if missing. `owner` is a client with an owner's key."""
    for workspace in _expect(owner.get("/me/workspaces")).json()["items"]:
        if workspace["name"] == name:
            return str(workspace["id"])
    return str(_expect(owner.post("/workspaces", json={"name": name})).json()["id"])


def _api_key(url: str, username: str, password: str) -> str:
    login = httpx.post(f"{url}/api/v1/token", data={"username": username, "password": password}, timeout=30)
    if login.status_code == httpx.codes.UNAUTHORIZED:
        raise Forbidden(f"Argilla already has a user {username!r} with another password. Pass that password.")
    bearer = {"Authorization": f"Bearer {_expect(login).json()['access_token']}"}
    return str(_expect(httpx.get(f"{url}/api/v1/me", headers=bearer, timeout=30)).json()["api_key"])


def _expect(response: httpx.Response) -> httpx.Response:
    if response.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        raise Forbidden(f"Argilla refuses {response.request.url}. An owner's API key is needed.")
    if not response.is_success:
        raise Unavailable(
            f"Argilla responded with {response.status_code} to {response.request.method} {response.request.url}: "
            f"{response.text[:300]}"
        )
    return response
