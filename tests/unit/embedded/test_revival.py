"""What ends is started again, after a pause that grows; a full disk is reported once."""

import os
import signal
import sys
from pathlib import Path

import pytest

from services.embedded.revival import LONGEST_PAUSE_S, Revival
from services.embedded.room import Room
from services.embedded.supervisor import Child, Program, Supervisor

pytestmark = pytest.mark.unit


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def program(name: str, code: str) -> Program:
    return Program(name, (sys.executable, "-c", code), grace_s=1)


def names(supervisor: Supervisor) -> list[str]:
    return [child.name for child in supervisor.children]


def kill(child: Child) -> None:
    os.kill(child.pid, signal.SIGKILL)
    child.process.wait()


def test_a_killed_child_is_started_again_and_its_neighbour_left_alone(tmp_path: Path) -> None:
    clock, said = Clock(), list[str]()
    with Supervisor(tmp_path) as supervisor:
        revival = Revival(supervisor, said.append, clock)
        store = supervisor.start(program("store", "import time; time.sleep(300)"))
        other = supervisor.start(program("other", "import time; time.sleep(300)"))
        revival.look()
        (tmp_path / "logs" / "store.log").write_text("no room for the index")
        kill(store)
        clock.now = store.started + 10
        revival.look()
        assert supervisor.children == (other,)
        assert "store was killed by SIGKILL" in said[0]
        assert "started again in 1 s" in said[0]
        assert "no room for the index" in said[0]
        clock.now += 1
        revival.look()
        running = {child.name: child.pid for child in supervisor.children}
        assert set(running) == {"other", "store"}
        assert running["store"] != store.pid
        assert said[1:] == ["store was started again"]
        supervisor.check()


def test_the_pause_doubles_up_to_a_minute_and_is_forgotten_when_it_ran_long(tmp_path: Path) -> None:
    clock, said = Clock(), list[str]()
    with Supervisor(tmp_path) as supervisor:
        revival = Revival(supervisor, said.append, clock)
        supervisor.start(program("failing", "raise SystemExit(3)"))
        for _ in range(8):
            child = supervisor.children[0]
            child.process.wait()
            clock.now = child.started
            revival.look()
            clock.now += LONGEST_PAUSE_S
            revival.look()
        pauses = [int(line.split(" in ")[1].split()[0]) for line in said if "ended with exit code 3" in line]
        assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]
        child = supervisor.children[0]
        child.process.wait()
        clock.now = child.started + 600
        revival.look()
        assert "started again in 1 s" in said[-1]


def test_the_log_of_the_first_death_is_kept(tmp_path: Path) -> None:
    clock, said = Clock(), list[str]()
    codes = iter(("print('the first reason'); raise SystemExit(3)", *["print('later'); raise SystemExit(3)"] * 3))
    with Supervisor(tmp_path) as supervisor:
        revival = Revival(supervisor, said.append, clock)
        supervisor.start(lambda: program("failing", next(codes)))
        for _ in range(3):
            child = supervisor.children[0]
            child.process.wait()
            clock.now = child.started
            revival.look()
            clock.now += LONGEST_PAUSE_S
            revival.look()
    logs = tmp_path.resolve() / "logs"
    died = [line for line in said if "ended with exit code 3" in line]
    assert f"The end of its log, {logs / 'failing.log.died'}:\n    the first reason" in died[0]
    assert all(line.endswith(f"Its log becomes {logs / 'failing.log.1'}.") for line in died[1:])
    assert (logs / "failing.log.died").read_text() == "the first reason\n"
    assert (logs / "failing.log.1").read_text() == "later\n"


def test_a_program_that_dies_while_the_disk_is_full_is_not_lost(tmp_path: Path) -> None:
    clock, said = Clock(), list[str]()
    with Supervisor(tmp_path) as supervisor:
        revival = Revival(supervisor, said.append, clock)
        store = supervisor.start(program("store", "import time; time.sleep(300)"))
        (tmp_path / "processes.new").symlink_to("/dev/full")
        kill(store)
        clock.now = store.started + 10
        revival.look()
        clock.now += 1
        revival.look()
        assert names(supervisor) == ["store"]
        supervisor.check()


def test_a_start_that_fails_is_said_once_and_tried_again(tmp_path: Path) -> None:
    clock, said, full, prepared = Clock(), list[str](), [False], list[str]()

    def prepare() -> Program:
        prepared.append("tmp")
        with Path("/dev/full" if full[0] else tmp_path / "settings").open("w") as file:
            file.write("port = 1")
        return program("store", "import time; time.sleep(300)")

    with Supervisor(tmp_path) as supervisor:
        revival = Revival(supervisor, said.append, clock)
        store = supervisor.start(prepare)
        full[0] = True
        kill(store)
        clock.now = store.started
        for _ in range(4):
            revival.look()
            clock.now += LONGEST_PAUSE_S
        assert names(supervisor) == []
        assert len(prepared) == 4
        assert ["No space left" in line for line in said] == [False, True]
        full[0] = False
        revival.look()
        assert names(supervisor) == ["store"]
        assert said[2:] == ["store was started again"]


def test_a_full_disk_is_said_once_and_its_end_too(tmp_path: Path) -> None:
    free, said = [50 << 30], list[str]()
    room = Room(tmp_path, said.append, lambda _: (100 << 30, 0, free[0]))
    for left in (50 << 30, 1 << 20, 0, 1 << 20, 50 << 30, 49 << 30):
        free[0] = left
        room.look()
    assert len(said) == 2
    assert "is full" in said[0]
    assert "not kept" in said[0]
    assert "has room again" in said[1]


def test_a_disk_at_its_limit_is_reported_once(tmp_path: Path) -> None:
    free, said = [50 << 30], list[str]()
    room = Room(tmp_path, said.append, lambda _: (1 << 40, 0, free[0]))
    for tenths in (103, 102, 103, 102, 110, 150):
        free[0] = (tenths << 30) // 10
        room.look()
    assert len(said) == 1
    assert "10444 MiB are free, and 10485 of its 1048576 MiB must be" in said[0]
    free[0] = 16 << 30
    room.look()
    assert "has room again" in said[1]
