"""Children are started, watched and ended together, whatever ends first."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from services.embedded import stack, up
from services.embedded.supervisor import LOCK_FILE, ChildDied, Program, Supervisor, end_stale
from tornio.client import address
from tornio.errors import Conflict, Unavailable

pytestmark = pytest.mark.unit


def python(name: str, code: str, grace_s: float = 5.0) -> Program:
    return Program(name, (sys.executable, "-c", textwrap.dedent(code)), grace_s=grace_s)


def sleeper(name: str = "sleeper") -> Program:
    return python(name, "import time; time.sleep(300)")


def until(condition: Callable[[], bool], seconds: float = 20.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_stop_ends_every_child_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with Supervisor(tmp_path) as supervisor:
        pids = [supervisor.start(sleeper(name)).pid for name in ("one", "two")]
        supervisor.check()
    assert all(gone(pid) for pid in pids)
    assert not psutil.Process().children(recursive=True)
    assert not (tmp_path / "processes.json").exists()


def test_a_state_folder_that_is_open_to_others_is_closed(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with Supervisor(tmp_path):
        assert tmp_path.stat().st_mode & 0o777 == 0o700


def test_a_child_that_ignores_the_polite_signal_is_killed(tmp_path: Path) -> None:
    deaf = """
        import signal, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("deaf", flush=True)
        time.sleep(300)
    """
    with Supervisor(tmp_path) as supervisor:
        child = supervisor.start(python("deaf", deaf, grace_s=0.1))
        supervisor.wait_ready(child, lambda: "deaf" in child.log_tail(), timeout_s=20)
    assert child.process.returncode == -signal.SIGKILL


def test_grandchildren_end_too(tmp_path: Path) -> None:
    parent = """
        import subprocess, sys, time
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
        print("grandchild", child.pid, flush=True)
        time.sleep(300)
    """
    with Supervisor(tmp_path) as supervisor:
        child = supervisor.start(python("parent", parent))
        supervisor.wait_ready(child, lambda: "grandchild" in child.log_tail(), timeout_s=20)
        grandchild = int(child.log_tail().split()[-1])
    assert until(lambda: gone(grandchild))


def test_a_dead_child_is_reported_with_the_end_of_its_log(tmp_path: Path) -> None:
    with Supervisor(tmp_path) as supervisor:
        supervisor.start(sleeper())
        failing = supervisor.start(python("failing", "print('the disk is full'); raise SystemExit(3)"))
        failing.process.wait()
        with pytest.raises(ChildDied, match=r"(?s)failing ended with exit code 3.*failing\.log.*the disk is full"):
            supervisor.check()


def test_a_killed_child_is_reported_by_the_signal(tmp_path: Path) -> None:
    with Supervisor(tmp_path) as supervisor:
        child = supervisor.start(sleeper())
        os.kill(child.pid, signal.SIGKILL)
        child.process.wait()
        with pytest.raises(ChildDied, match="was killed by SIGKILL"):
            supervisor.check()


def test_waiting_for_one_child_notices_the_death_of_another(tmp_path: Path) -> None:
    with Supervisor(tmp_path) as supervisor:
        supervisor.start(python("failing", "raise SystemExit(3)"))
        child = supervisor.start(sleeper())
        with pytest.raises(ChildDied, match="failing"):
            supervisor.wait_ready(child, lambda: False, timeout_s=60)


def test_a_child_that_is_never_ready_is_unavailable(tmp_path: Path) -> None:
    with Supervisor(tmp_path) as supervisor:
        child = supervisor.start(sleeper())
        with pytest.raises(Unavailable, match="sleeper was not ready"):
            supervisor.wait_ready(child, lambda: False, timeout_s=0.1)


def test_children_do_not_see_the_secrets_of_the_parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORNIO_API_KEY", "secret")
    with Supervisor(tmp_path) as supervisor:
        child = supervisor.start(python("env", "import os; print(sorted(os.environ))"))
        child.process.wait()
        assert "PATH" in child.log_tail()
        assert "TORNIO_API_KEY" not in child.log_tail()


def test_the_client_knows_the_files_of_a_state_folder() -> None:
    ours = (LOCK_FILE, up.SESSION_FILE, stack.CREDENTIALS_FILE)
    assert ours == (address.LOCK_FILE, address.SESSION_FILE, address.CREDENTIALS_FILE)


def test_two_supervisors_do_not_share_a_directory(tmp_path: Path) -> None:
    with Supervisor(tmp_path), pytest.raises(Conflict, match=f"process {os.getpid()}\\)"):
        Supervisor(tmp_path).open()
    with Supervisor(tmp_path):  # free again
        pass


def test_children_end_when_the_parent_is_killed(tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            textwrap.dedent(f"""
                import sys, time
                from pathlib import Path
                from services.embedded.supervisor import Program, Supervisor
                supervisor = Supervisor(Path({str(tmp_path)!r}))
                supervisor.open()
                sleep = (sys.executable, "-c", "import time; time.sleep(300)")
                print(supervisor.start(Program("sleeper", sleep)).pid, flush=True)
                time.sleep(300)
            """),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    with parent, parent.stdout:
        child = int(parent.stdout.readline())
        parent.kill()
    assert until(lambda: gone(child))


def test_a_child_of_a_killed_predecessor_is_ended(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", "import time; time.sleep(300)"]
    with subprocess.Popen(argv, start_new_session=True) as orphan:
        assert until(lambda: psutil.Process(orphan.pid).cmdline() == argv)
        row = {"pid": orphan.pid, "argv": argv, "started": psutil.Process(orphan.pid).create_time()}
        record = tmp_path / "processes.json"
        record.write_text(json.dumps([row]))
        assert end_stale(record) == [orphan.pid]
    assert not record.exists()


@pytest.mark.parametrize("wrong", [{"started": 1.0}, {"argv": ["something", "else"]}])
def test_a_process_that_may_be_somebody_elses_is_left_alone(tmp_path: Path, wrong: dict[str, object]) -> None:
    argv = [sys.executable, "-c", "import time; time.sleep(300)"]
    with subprocess.Popen(argv, start_new_session=True) as other:
        assert until(lambda: psutil.Process(other.pid).cmdline() == argv)
        row = {"pid": other.pid, "argv": argv, "started": psutil.Process(other.pid).create_time()}
        record = tmp_path / "processes.json"
        record.write_text(json.dumps([row | wrong]))
        assert end_stale(record) == []
        assert other.poll() is None
        other.kill()
