"""kubectl and helm on the cluster that KUBECONFIG names."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from typing import Any


class Refused(AssertionError):
    """The command failed; the message is what it said."""


def call(*command: str, given: str | None = None) -> str:
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Refused(f"{' '.join(command)}: {(done.stdout + done.stderr).strip()[-4000:]}")
    return done.stdout


@dataclass(frozen=True)
class Kubectl:
    """``namespace``: where no other is named."""

    namespace: str = "default"

    def within(self, namespace: str) -> Kubectl:
        return Kubectl(namespace)

    def run(self, *arguments: str, given: str | None = None) -> str:
        return call("kubectl", "-n", self.namespace, *arguments, given=given)

    def get(self, kind: str, name: str = "", selector: str = "") -> Any:
        named = (name,) if name else ("-l", selector) if selector else ()
        found = json.loads(self.run("get", kind, *named, "-o", "json"))
        return found if name else found["items"]

    def accepts(self, documents: list[dict[str, Any]]) -> None:
        """Raises Refused, with the reason, unless the API server would take them all."""
        body = {"apiVersion": "v1", "kind": "List", "items": documents}
        self.run("apply", "--dry-run=server", "-f", "-", given=json.dumps(body))
