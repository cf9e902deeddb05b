"""The Python client. Light: httpx and pydantic, neither torch nor ray."""

from tornio.client.client import Client, Progress

__all__ = ["Client", "Progress"]
