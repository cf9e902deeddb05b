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
        kill(store)
        clock.now = store.started + 10
        revival.look()
        assert supervisor.children == (other,)
        assert "store was killed by SIGKILL" in said[0]
        assert "started again in 1 s" in said[0]
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
