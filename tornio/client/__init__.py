"""The Python client. It is light: it imports httpx and pydantic, but neither torch nor ray."""

from tornio.client.client import AsyncClient, Client
from tornio.client.predictions import Progress

__all__ = ["AsyncClient", "Client", "Progress"]
