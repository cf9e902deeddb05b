"""Versions as blobs, manifests and aliases: publish, resolve, promote, roll back. Encoders, and the cache of a node."""

from tornio.registry.cache import NodeCache
from tornio.registry.encoders import Encoders
from tornio.registry.history import earlier_version
from tornio.registry.registry import CANDIDATE, CURRENT, PREVIOUS, Registry

__all__ = ["CANDIDATE", "CURRENT", "PREVIOUS", "Encoders", "NodeCache", "Registry", "earlier_version"]
