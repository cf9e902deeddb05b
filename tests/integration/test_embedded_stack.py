"""The embedded stack starts, keeps its state, tells what broke it, and never leaves a process behind."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import psutil
import pytest

from services.embedded.argilla_users import ensure_user
from services.embedded.objectstore import ObjectStore
from services.embedded.stack import Addresses, EmbeddedStack
from services.embedded.supervisor import ChildDied
from tests.integration.conftest import ArgillaAccess
from tornio.errors import Conflict, Forbidden

pytestmark = pytest.mark.integration


def store(at: Addresses) -> ObjectStore:
    port = int(at.s3_endpoint.rsplit(":", 1)[1])
    return ObjectStore(Path(), {"seaweedfs_s3": port}, at.s3_access_key, at.s3_secret_key)


def me(at: Addresses) -> dict[str, str]:
    answer = httpx.get(f"{at.argilla_url}/api/v1/me", headers={"X-Argilla-Api-Key": at.argilla_api_key}, timeout=60)
    return {key: answer.raise_for_status().json()[key] for key in ("id", "username", "role")}


def of_this_stack(state_dir: Path) -> list[psutil.Process]:
    """Processes whose command line or working folder names the stack's folder."""
    found = []
    for process in psutil.process_iter(["cmdline", "cwd", "status"]):
        words = [*(process.info["cmdline"] or ()), process.info["cwd"] or ""]
        if process.info["status"] != psutil.STATUS_ZOMBIE and any(str(state_dir) in word for word in words):
            found.append(process)
    return [process for process in found if process.pid != os.getpid()]


def until(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False


def test_it_goes_on_where_it_stopped_and_leaves_no_process(tmp_path: Path) -> None:
    with EmbeddedStack(tmp_path) as stack:
        before = stack.addresses
        owner = me(before)
        assert owner["role"] == "owner"
        annotator = ensure_user(before.argilla_url, before.argilla_api_key, "ann", workspaces=("support",))
        assert len(of_this_stack(tmp_path)) >= 3
        with pytest.raises(Conflict, match="already runs with the state folder"):
            EmbeddedStack(tmp_path).start()
        # The last act before the end: what the store acknowledged it must give back, though it is killed.
        client = store(before).client()
        bodies = {f"numbers/{number}": os.urandom(500 * number) for number in range(100)}
        for key, body in bodies.items():
            client.put_object(Bucket=before.s3_bucket, Key=key, Body=body)
    assert of_this_stack(tmp_path) == []

    with EmbeddedStack(tmp_path) as stack:
        assert stack.addresses == before
        assert me(stack.addresses) == owner
        again = ensure_user(before.argilla_url, before.argilla_api_key, "ann", password=annotator.password)
        assert again == annotator
        client = store(before).client()
        for key, body in bodies.items():
            assert client.get_object(Bucket=before.s3_bucket, Key=key)["Body"].read() == body
        for child in stack.supervisor.children:
            os.kill(child.pid, signal.SIGKILL)
            child.process.wait()
        assert until(lambda: _is_back(stack, owner), 300)
        client = store(before).client(attempts=8)
        assert all(client.head_object(Bucket=before.s3_bucket, Key=key) for key in bodies)
    assert of_this_stack(tmp_path) == []


def _is_back(stack: EmbeddedStack, owner: dict[str, str]) -> bool:
    stack.keep()
    if len(stack.supervisor.children) < 3:
        return False
    try:
        return me(stack.addresses) == owner and bool(store(stack.addresses).ready())
    except httpx.HTTPError:
        return False


@pytest.mark.parametrize(
    ("number", "after_s"),
    [(signal.SIGINT, 0.7), (signal.SIGINT, 4.0), (signal.SIGKILL, 0.7), (signal.SIGKILL, 8.0)],
)
def test_ctrl_c_and_kill_at_any_moment_leave_no_process(tmp_path: Path, number: signal.Signals, after_s: float) -> None:
    program = textwrap.dedent(f"""
        import time
        from pathlib import Path
        from services.embedded.stack import EmbeddedStack
        print("starting", flush=True)
        with EmbeddedStack(Path({str(tmp_path / "state")!r})):
            time.sleep(300)
    """)
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        assert parent.stderr is not None
        assert parent.stdout.readline() == "starting\n"
        time.sleep(after_s)
        parent.send_signal(number)
        parent.wait(120)
        error = parent.stderr.read()
    assert "KeyboardInterrupt" in error or number == signal.SIGKILL
    assert until(lambda: of_this_stack(tmp_path / "state") == [], 120)


def test_a_program_that_cannot_start_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ChildDied, match=r"(?s)argilla ended with exit code 1.*No module named"):
        EmbeddedStack(tmp_path, argilla_python=Path(sys.executable)).start()
    assert of_this_stack(tmp_path) == []


def test_a_new_annotator_can_log_in_and_an_owner_alone_makes_one(argilla: ArgillaAccess) -> None:
    annotator = ensure_user(argilla.url, argilla.api_key, "grace", workspaces=("users-a", "users-b"))
    headers = {"X-Argilla-Api-Key": annotator.api_key}
    answer = httpx.get(f"{argilla.url}/api/v1/me/workspaces", headers=headers, timeout=60)
    assert {item["name"] for item in answer.json()["items"]} == {"users-a", "users-b"}
    assert annotator.role == "annotator"
    with pytest.raises(Forbidden, match="another password"):
        ensure_user(argilla.url, argilla.api_key, "grace", password="not-the-one")
    with pytest.raises(Forbidden, match="owner's API key"):
        ensure_user(argilla.url, annotator.api_key, "mallory")


def test_no_secret_stands_in_an_argument_list(embedded_stack: EmbeddedStack) -> None:
    at = embedded_stack.addresses
    secrets = (at.s3_secret_key, at.argilla_api_key, at.argilla_password)
    for child in embedded_stack.supervisor.children:
        words = psutil.Process(child.pid).cmdline()
        assert not any(secret in word for secret in secrets for word in words)


def test_memory_is_measured_by_part(embedded_stack: EmbeddedStack) -> None:
    memory = embedded_stack.memory()
    assert set(memory) == {"valkey", "argilla", "seaweedfs"}
    assert sum(memory.values()) < 1024**3
