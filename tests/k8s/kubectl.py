"""kubectl and helm on the cluster that KUBECONFIG names."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")
AWAY = ("Unable to connect to the server", "etcdserver: request timed out", "context deadline exceeded")
"""What kubectl says where nobody has answered."""


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

    def get(self, kind: str, name: str = "", selector: str = "", everywhere: bool = False) -> Any:
        """One object, or those that the selector finds, in this namespace or in all."""
        named: tuple[str, ...] = (name,) if name else ("-l", selector) if selector else ()
        named += ("-A",) if everywhere else ()
        found = json.loads(_answered(lambda: self.run("get", kind, *named, "-o", "json")))
        return found if name else found["items"]

    def pods(self, selector: str, everywhere: bool = False) -> list[dict[str, Any]]:
        """Those that are not about to go."""
        found = self.get("pods", selector=selector, everywhere=everywhere)
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def kill(self, pod: dict[str, Any]) -> None:
        """At once, without its grace period."""
        name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
        self.within(namespace).run("delete", "pod", name, "--grace-period=0", "--force")

    def accepts(self, documents: list[dict[str, Any]]) -> None:
        """Raises Refused, with the reason, unless the API server would take them all."""
        body = {"apiVersion": "v1", "kind": "List", "items": documents}
        self.run("apply", "--dry-run=server", "-f", "-", given=json.dumps(body))

    def helm(self, *arguments: str) -> str:
        return call("helm", "-n", self.namespace, *arguments)

    @contextmanager
    def forwarded(self, target: str, port: int) -> Iterator[str]:
        """The address on this machine of a port in the cluster."""
        process, local = _answered(lambda: self._forward(target, port))
        try:
            yield f"http://127.0.0.1:{local}"
        finally:
            _end(process)

    def _forward(self, target: str, port: int) -> tuple[subprocess.Popen[str], str]:
        """A process that forwards, and the port on this machine."""
        command = ["kubectl", "-n", self.namespace, "port-forward", target, f":{port}"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert process.stdout
        said = process.stdout.readline()
        if found := re.search(r"127\.0\.0\.1:(\d+)", said):
            return process, found[1]
        _end(process)
        raise Refused(f"{' '.join(command)}: {said}")


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    process.communicate()


def _answered(ask: Callable[[], T]) -> T:
    """Asked again for a minute where the API server cannot be reached: on a small node it starves at times."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return ask()
        except Refused as refused:
            if not any(said in str(refused) for said in AWAY) or time.monotonic() > deadline:
                raise
            time.sleep(2)
