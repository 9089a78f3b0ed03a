"""Triggers that wait for the time or the exit, and the thread that waits."""

from __future__ import annotations

import threading

import pytest

from memlens import triggers
from memlens.errors import OptionError
from memlens.triggers.schedules import Every
from memlens.triggers.ticker import Ticker
from tests.clock import FakeClock
from tests.triggers.hosts import NotingHost


def scheduled(seconds):
    clock, host = FakeClock(0.0), NotingHost()
    trigger = Every(seconds, clock)
    trigger._host, trigger._next = host, clock.now + seconds
    return trigger, clock, host


def test_snapshots_come_at_a_fixed_interval():
    trigger, clock, host = scheduled(60.0)
    waits = []
    for _ in range(6):
        waits.append(trigger.step())
        clock.advance(20.0)
    assert waits == [60.0, 40.0, 20.0, 60.0, 40.0, 20.0]
    assert host.fired == [("schedule", 0.0)]


def test_suspended_machine_gets_one_snapshot_not_all_that_were_missed():
    trigger, clock, host = scheduled(60.0)
    clock.advance(10_000.0)
    assert trigger.step() == 60.0
    assert host.fired == [("schedule", 0.0)]


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), "60"])
def test_interval_is_checked(seconds):
    with pytest.raises(OptionError, match="seconds"):
        triggers.every(seconds)


def test_reprs():
    assert [repr(one) for one in (triggers.every(60), triggers.at_exit(), triggers.on_alert())] == [
        "every(60)",
        "at_exit()",
        "on_alert()",
    ]


def test_exit_fires_only_while_started():
    host, trigger = NotingHost(), triggers.at_exit()
    trigger.start(host)
    trigger._exit()
    trigger.stop()
    trigger._exit()
    assert host.waited == ["exit"]


def test_ticker_repeats_its_step_and_goes_on_after_an_error():
    done, errors, count = threading.Event(), [], 0

    def step():
        nonlocal count
        count += 1
        if count == 1:
            return 0.0
        if count == 2:
            done.set()
            raise ValueError("planted")
        return 0.0

    ticker = Ticker("test", step, errors.append)
    ticker.start()
    assert done.wait(60)
    ticker.stop()
    assert not ticker.is_running
    assert [str(error) for error in errors] in (["planted"], [])  # stopped before it was noted
    assert count >= 2
    ticker.start()  # again, as in a forked child
    assert ticker.is_running
    ticker.stop()


def test_ticker_that_stops_itself_does_not_wait_for_itself():
    ended = threading.Event()

    def step():
        ticker.stop()
        ended.set()
        return 60.0

    ticker = Ticker("test", step, list)
    ticker.start()
    assert ended.wait(60)
