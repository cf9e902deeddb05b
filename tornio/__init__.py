"""Tornio turns unlabelled text and a few annotators into a served text classifier that keeps getting better.

``import tornio`` is light: it pulls in neither torch nor ray.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tornio.client import AsyncClient, Client

__version__ = "0.2.0"
__all__ = ["AsyncClient", "Client", "__version__"]


def __getattr__(name: str) -> Any:
    """``tornio.Client`` and ``tornio.AsyncClient``, imported when they are asked for: the cluster does not use them."""
    if name in ("Client", "AsyncClient"):
        from tornio import client

        return getattr(client, name)
    raise AttributeError(f"module 'tornio' has no attribute {name!r}")
