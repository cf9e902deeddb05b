"""The files that the page loads, shipped with the package: a style sheet, a script, an icon."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from fastapi import APIRouter, Response
from markupsafe import Markup

from services.gateway.guards import open_to_all
from services.gateway.paths import of_page
from tornio.errors import NotFound

router = APIRouter(include_in_schema=False)
_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
_FOR_EVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class _Asset:
    body: bytes
    kind: str
    digest: str


def _read(path: Path) -> _Asset:
    body = path.read_bytes()
    return _Asset(body, _TYPES[path.suffix], hashlib.sha256(body).hexdigest()[:16])


_ASSETS = {path.name: _read(path) for path in sorted((Path(__file__).parent / "static").iterdir())}


def address(name: str) -> str:
    """Return the address of a file. It changes with its content, so that browsers may keep the file."""
    return f"/static/{name}?v={_ASSETS[name].digest}"


def content(name: str) -> Markup:
    """Return a style sheet as it is, for a page that has it in itself."""
    return Markup(_ASSETS[name].body.decode())  # shipped with the package


@router.get("/static/{name}")
@of_page
@open_to_all
async def asset(name: str, v: str = "") -> Response:
    """Answer with a file of the page."""
    found = _ASSETS.get(name)
    if found is None:
        raise NotFound(f"The page has no file {name!r}.")
    caching = _FOR_EVER if v == found.digest else "no-cache"
    headers = {"Cache-Control": caching, "X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox"}
    return Response(found.body, media_type=found.kind, headers=headers)


@router.get("/favicon.ico")
@of_page
@open_to_all
async def favicon() -> Response:
    """Answer browsers that ask for an icon without having read a page."""
    return await asset("icon.svg")
