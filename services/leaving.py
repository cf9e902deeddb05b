"""What a serving pod does when it is about to end: its Ray node is drained, and its replicas move before it is gone.

Kubernetes runs ``python -m services.leaving SECONDS PATIENCE`` in the pod's preStop hook: the pod ends in SECONDS. A
head that has not answered after PATIENCE seconds is given up, so that the hook ends in time. Serve starts a replacement
of each replica of this node on another one, and stops the old replica when the replacement answers. Without this, Serve
learns of the end at SIGTERM: of 576 predictions, 41 failed when the pod with the only replica was deleted.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from tornio.errors import NotFound

TRIES = 3
"""How often the request is sent at most, while there is time. The head may be starting."""


def drain_command(seconds: int, processes: Iterable[bytes], environ: Mapping[str, str]) -> list[str]:
    """Return the command that drains this node, which ends in so many seconds.

    ``processes``: the command lines of this pod, as /proc has them. Raises NotFound if no raylet is among them, or if
    the environment does not name the head.
    """
    words = [word for line in processes if b"raylet/raylet" in line for word in line.split(b"\0")]
    nodes = [word.partition(b"=")[2].decode() for word in words if word.startswith((b"--node_id=", b"--node-id="))]
    head = environ.get("RAY_ADDRESS")
    if not nodes or not head:
        raise NotFound("No Ray node runs in this pod, or RAY_ADDRESS does not name its head. Nothing is drained.")
    return [
        *("ray", "drain-node", f"--address={head}", f"--node-id={nodes[0]}"),
        *("--reason=DRAIN_NODE_REASON_PREEMPTION", "--reason-message=the pod is about to end"),
        f"--deadline-remaining-seconds={seconds}",
    ]


def _command_lines() -> Iterable[bytes]:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield path.read_bytes()
        except OSError:  # the process has ended
            continue


def _send(command: list[str], patience: float) -> str:
    """Send the request, for ``patience`` seconds in all. Returns what went wrong, empty if the head has taken it."""
    deadline = time.monotonic() + patience
    why = ""
    for _ in range(TRIES):
        try:
            left = max(0.0, deadline - time.monotonic())
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=left)
        except subprocess.TimeoutExpired:
            return why or f"the head did not answer within {patience:g} s"
        if not done.returncode:
            return ""
        why = (done.stdout + done.stderr)[-2000:]
    return why


def main() -> None:
    command = drain_command(int(sys.argv[1]), _command_lines(), os.environ)
    if why := _send(command, float(sys.argv[2])):
        sys.exit(f"{' '.join(command)}: {why}")  # Kubernetes shows it as an event


if __name__ == "__main__":
    main()
