"""A double of the Hugging Face hub on 127.0.0.1: the calls that pushing a data set makes, and reading it back.

It keeps files whole and knows one branch. Written after what ``huggingface_hub`` and ``datasets`` send, not after the
hub itself: it shows that we use the two as they are meant to be, and no more.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any
from urllib.parse import unquote, urlsplit

OWNER = "potter"


@dataclass
class Repo:
    private: bool
    files: dict[str, bytes] = field(default_factory=dict)
    commits: list[str] = field(default_factory=list)
    """Their titles."""
    uploads: dict[str, bytes] = field(default_factory=dict)
    """Large files by their SHA-256, before a commit names them."""

    @property
    def sha(self) -> str:
        return hashlib.sha1(str(len(self.commits)).encode(), usedforsecurity=False).hexdigest()


@dataclass
class Hub:
    """What was pushed. ``token``: the one that may write."""

    url: str
    token: str
    repos: dict[str, Repo] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock)


@contextmanager
def hub(token: str) -> Iterator[Hub]:
    """A hub that lives as long as the block."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.hub = Hub(f"http://127.0.0.1:{server.server_port}", token)  # type: ignore[attr-defined]
    thread = Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server.hub  # type: ignore[attr-defined]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Silent."""

    @property
    def hub(self) -> Hub:
        found: Hub = self.server.hub  # type: ignore[attr-defined]
        return found

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        """A large file, to the address that the batch call gave: that is the permission."""
        _, _, owner, name, sha256 = urlsplit(self.path).path.split("/")
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with self.hub.lock:
            self.hub.calls.append("PUT /upload")
            self.hub.repos[f"{owner}/{name}"].uploads[sha256] = body
            self._send(HTTPStatus.OK, b"", "text/plain", {})

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = unquote(urlsplit(self.path).path)
        with self.hub.lock:
            self.hub.calls.append(f"{self.command} {path}")
            if self.headers.get("Authorization") != f"Bearer {self.hub.token}":
                self._say(HTTPStatus.UNAUTHORIZED, {"error": "Invalid credentials"})
            elif path == "/api/repos/create":
                self._create(json.loads(body))
            elif path == "/api/validate-yaml":
                self._say(HTTPStatus.OK, {"errors": [], "warnings": []})
            elif match := re.fullmatch(r"/datasets/([^/]+/[^/]+)\.git/info/lfs/objects/batch", path):
                self._batch(match[1], json.loads(body)["objects"])
            elif match := re.fullmatch(r"/(?:api/)?datasets/([^/]+/[^/]+)(?:/([a-z-]+)(?:/([^/]+)(?:/(.*))?)?)?", path):
                name, what, _, rest = match.groups()
                repo = self.hub.repos.get(name)
                if repo is None:
                    self._say(HTTPStatus.NOT_FOUND, {"error": "no such data set"}, {"X-Error-Code": "RepoNotFound"})
                else:
                    self._of_repo(name, repo, what or "revision", rest or "", body)
            else:
                self._say(HTTPStatus.NOT_IMPLEMENTED, {"error": f"the double does not know {path}"})

    def _create(self, asked: dict[str, Any]) -> None:
        name = f"{asked.get('organization') or OWNER}/{asked['name']}"
        known = name in self.hub.repos
        if not known:
            private = bool(asked.get("private")) or asked.get("visibility") == "private"  # older and newer clients
            self.hub.repos[name] = Repo(private)
        status = HTTPStatus.CONFLICT if known else HTTPStatus.OK
        self._say(status, {"url": f"{self.hub.url}/datasets/{name}", "error": "exists"})

    def _of_repo(self, name: str, repo: Repo, what: str, path: str, body: bytes) -> None:
        if what == "revision":
            files = [{"rfilename": one} for one in repo.files]
            self._say(HTTPStatus.OK, {"id": name, "sha": repo.sha, "private": repo.private, "siblings": files})
        elif what == "preupload":
            asked = json.loads(body)["files"]
            self._say(HTTPStatus.OK, {"files": [_mode(one["path"]) for one in asked]})
        elif what == "commit":
            self._commit(name, repo, [json.loads(line) for line in body.splitlines() if line])
        elif what == "tree":
            self._tree(repo, path)
        elif what == "paths-info":
            wanted = json.loads(body)["paths"] if body.startswith(b"{") else []
            self._say(HTTPStatus.OK, [_entry(one, repo.files[one]) for one in wanted if one in repo.files])
        elif what == "resolve" and path in repo.files:
            content = repo.files[path]
            etag = {"ETag": f'"{_oid(content)}"', "X-Repo-Commit": repo.sha}
            self._send(HTTPStatus.OK, content, "application/octet-stream", etag)
        else:
            self._say(HTTPStatus.NOT_FOUND, {"error": f"no {path}"}, {"X-Error-Code": "EntryNotFound"})

    def _batch(self, name: str, objects: list[dict[str, Any]]) -> None:
        """Where large files go: the plain transfer, one PUT each."""
        answers = [
            {**one, "actions": {"upload": {"href": f"{self.hub.url}/upload/{name}/{one['oid']}"}}} for one in objects
        ]
        self._say(HTTPStatus.OK, {"transfer": "basic", "objects": answers})

    def _commit(self, name: str, repo: Repo, lines: list[dict[str, Any]]) -> None:
        for line in lines:
            value = line["value"]
            if line["key"] == "header":
                repo.commits.append(value["summary"])
            elif line["key"] == "file":
                repo.files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                repo.files[value["path"]] = repo.uploads[value["oid"]]
            elif line["key"] == "deletedFile":
                del repo.files[value["path"]]
        at = f"{self.hub.url}/datasets/{name}/commit/{repo.sha}"
        self._say(HTTPStatus.OK, {"commitUrl": at, "commitOid": repo.sha})

    def _tree(self, repo: Repo, folder: str) -> None:
        inside = {one: content for one, content in repo.files.items() if one.startswith(f"{folder}/" if folder else "")}
        if folder and not inside:
            self._say(HTTPStatus.NOT_FOUND, {"error": f"no {folder}"}, {"X-Error-Code": "EntryNotFound"})
            return
        folders = {one.rpartition("/")[0] for one in inside} - {"", folder}
        found = [_entry(one, content) for one, content in inside.items()]
        self._say(HTTPStatus.OK, [*found, *({"type": "directory", "path": one, "oid": _oid(b"")} for one in folders)])

    def _say(self, status: HTTPStatus, answer: object, headers: dict[str, str] | None = None) -> None:
        self._send(status, json.dumps(answer).encode(), "application/json", headers or {})

    def _send(self, status: HTTPStatus, body: bytes, kind: str, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _mode(path: str) -> dict[str, object]:
    return {"path": path, "uploadMode": "lfs" if path.endswith(".parquet") else "regular", "shouldIgnore": False}


def _entry(path: str, content: bytes) -> dict[str, object]:
    return {"type": "file", "path": path, "size": len(content), "oid": _oid(content)}


def _oid(content: bytes) -> str:
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()
