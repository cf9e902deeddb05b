"""A process that loads a folder through the node's cache: ``loader.py ROOT LOG [stop]``."""

from __future__ import annotations

import hashlib
import sys
import time
from pathlib import Path

from tornio.registry import NodeCache
from tornio.schemas import keys
from tornio.schemas.registry import Blob
from tornio.storage.memory import MemoryStore

BODY = b"weights of a model"
BLOB = Blob(sha256=hashlib.sha256(BODY).hexdigest(), size=len(BODY))


class SlowStore(MemoryStore):
    """Downloads byte by byte, and notes each download in a file that all processes see."""

    def __init__(self, log: Path, stop: bool) -> None:
        super().__init__()
        self.put(keys.blob(BLOB.sha256), BODY)
        self._log = log
        self._stop = stop

    def download(self, key: str, path: Path) -> None:
        with self._log.open("a") as log:
            log.write("download\n")
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb", buffering=0) as file:
            for n, byte in enumerate(self.get(key).body):
                file.write(bytes([byte]))
                if self._stop and n == 3:
                    time.sleep(600)
                time.sleep(0.02)


def load(root: Path, log: Path, stop: bool = False) -> None:
    folder = NodeCache(root, SlowStore(log, stop)).folder({"head": BLOB})
    assert (folder / "head").read_bytes() == BODY


if __name__ == "__main__":
    load(Path(sys.argv[1]), Path(sys.argv[2]), stop=sys.argv[3:] == ["stop"])
