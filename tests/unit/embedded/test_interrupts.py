"""Ctrl-C and SIGTERM raise KeyboardInterrupt, at a moment that can bear it, and once more if Python lost it."""

import os
import signal
import sys

import pytest

from services.embedded.interrupts import NUMBERS, Interrupts

pytestmark = pytest.mark.unit


class Noisy:
    """An object whose destructor is where the signal arrives."""

    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        sum(range(1000))  # the handler runs between two instructions of this


@pytest.mark.parametrize("number", NUMBERS)
def test_a_signal_raises_at_once_and_the_earlier_handlers_come_back(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    interrupts = Interrupts()
    interrupts.catch()
    try:
        interrupts.check()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
        with pytest.raises(KeyboardInterrupt):
            interrupts.check()
    finally:
        interrupts.release()
    assert signal.getsignal(number) == before


def test_an_interrupt_that_a_destructor_swallows_is_raised_by_the_next_check(monkeypatch: pytest.MonkeyPatch) -> None:
    swallowed: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda raised: swallowed.append(raised.exc_type))
    interrupts = Interrupts()
    interrupts.catch()
    try:
        Noisy()
        assert swallowed == [KeyboardInterrupt]
        with pytest.raises(KeyboardInterrupt):
            interrupts.check()
    finally:
        interrupts.release()


def test_a_deferred_interrupt_waits_until_the_step_is_done() -> None:
    interrupts = Interrupts()
    interrupts.catch()
    done: list[str] = []

    def step() -> None:
        with interrupts.deferred():
            os.kill(os.getpid(), signal.SIGINT)
            done.append("the rest of the step")

    try:
        with pytest.raises(KeyboardInterrupt):
            step()
    finally:
        interrupts.release()
    assert done
