"""Tornio turns unlabelled text and a few annotators into a served text classifier that keeps getting better.

``import tornio`` is light: it pulls in neither torch nor ray.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tornio.client import Client

__version__ = "0.2.0"
__all__ = ["Client", "__version__"]


def __getattr__(name: str) -> Any:
    """``tornio.Client``, imported when it is asked for: the cluster's processes have no use for it."""
    if name == "Client":
        from tornio.client import Client

        return Client
    raise AttributeError(f"module 'tornio' has no attribute {name!r}")
