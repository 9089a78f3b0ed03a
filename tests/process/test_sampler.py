"""Samplers driven by a clock moved by hand, without a thread."""

from __future__ import annotations

import gc
import logging
import sys
import threading
from math import inf, nan

import pytest

from memlens.errors import OptionError
from memlens.process import MemorySampler
from memlens.process.gc_pauses import MeasuredGcPauses
from memlens.process.reading import READING_COLUMNS, read_memory
from memlens.process.sampling_thread import SamplingThread
from tests.clock import FakeClock
from tests.process.world import World


@pytest.fixture
def world():
    return World()


def test_first_reading_is_taken_at_once_and_then_one_per_interval(world):
    sampler = world.sampler(sample_interval=10.0)
    assert sampler.latest is None
    assert sampler.readings() == []
    with sampler:
        assert sampler.is_running
        assert sampler.latest.rss_bytes == 1 << 20
        world.pass_time(35)
    assert not sampler.is_running
    world.pass_time(35)
    assert [reading.monotonic_seconds for reading in sampler.readings()] == [
        1000.0,
        1010.0,
        1020.0,
        1030.0,
    ]
    assert sampler.latest == sampler.readings()[-1]


def test_series_is_a_live_view_of_one_number(world):
    sampler = world.sampler(sample_interval=10.0)
    rss = sampler.series("rss_bytes")
    uss = sampler.series("uss_bytes")
    with sampler:
        world.pass_time(20)
    assert list(rss) == [(1000.0, 1 << 20), (1010.0, 2 << 20), (1020.0, 3 << 20)]
    assert uss.summary().missing == 3
    with pytest.raises(OptionError, match="no series 'rss'; choose one of timestamp,"):
        sampler.series("rss")


def test_only_the_newest_readings_are_kept(world):
    sampler = world.sampler(sample_interval=1.0, max_readings=5)
    with sampler:
        world.pass_time(20)
    assert [reading.monotonic_seconds for reading in sampler.readings()] == [
        1016.0,
        1017.0,
        1018.0,
        1019.0,
        1020.0,
    ]
    assert sampler.health().readings_taken == 21


def test_samplers_share_readings_and_keep_their_own_intervals(world):
    slow, fast = world.sampler(sample_interval=10.0), world.sampler(sample_interval=5.0)
    with slow, fast:
        world.pass_time(20)
    assert len(slow.readings()) == 3
    assert len(fast.readings()) == 5
    # Two first ones, then at 5, 10, 15 and 20 seconds one for both.
    assert len(world.reader.calls) == 6


def test_expensive_numbers_are_read_only_for_due_samplers_that_request_them(world):
    plain = world.sampler(sample_interval=1.0)
    thorough = world.sampler(sample_interval=2.0, uss=True, children=True)
    with plain, thorough:
        world.pass_time(2)
    assert world.reader.calls == [(False, False), (True, True), (False, False), (True, True)]


def test_sampler_can_be_restarted_and_keeps_its_readings(world):
    sampler = world.sampler(sample_interval=10.0)
    for _ in range(2):
        sampler.start()
        sampler.start()
        world.pass_time(10)
        sampler.stop()
        sampler.stop()
        world.pass_time(100)
    times = [reading.monotonic_seconds for reading in sampler.readings()]
    assert times == [1000.0, 1010.0, 1110.0, 1120.0]


def test_callback_gets_every_reading_until_it_is_unsubscribed(world):
    sampler = world.sampler(sample_interval=10.0)
    seen = []
    sampler.subscribe(seen.append)
    sampler.subscribe(seen.append)
    with sampler:
        world.pass_time(10)
        assert seen == sampler.readings()
        sampler.unsubscribe(seen.append)
        sampler.unsubscribe(print)
        world.pass_time(10)
    assert len(seen) == 2
    assert len(sampler.readings()) == 3


def test_failing_callback_is_counted_logged_once_and_does_not_affect_others(world, caplog):
    sampler, other = world.sampler(sample_interval=10.0), world.sampler(sample_interval=10.0)
    seen = []

    def broken(reading):
        raise ZeroDivisionError(f"at {reading.monotonic_seconds}")

    sampler.subscribe(broken)
    sampler.subscribe(seen.append)
    with caplog.at_level(logging.WARNING, logger="memlens"), sampler, other:
        world.pass_time(30)
    health = sampler.health()
    assert (health.callback_errors, health.reading_errors, health.errors) == (4, 0, 4)
    assert health.last_error == "ZeroDivisionError: at 1030.0"
    assert len(seen) == len(sampler.readings()) == len(other.readings()) == 4
    assert other.health().errors == 0
    assert [record.name for record in caplog.records] == ["memlens"]
    assert "callback" in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_failed_reading_is_counted_logged_once_and_retried(world, caplog):
    sampler = world.sampler(sample_interval=10.0)
    world.reader.error = OSError("no /proc")
    with caplog.at_level(logging.WARNING, logger="memlens"), sampler:
        world.pass_time(20)
        assert sampler.latest is None
        world.reader.error = None
        world.pass_time(10)
    health = sampler.health()
    assert (health.reading_errors, health.readings_taken) == (3, 1)
    assert health.last_error == "OSError: no /proc"
    assert len(caplog.records) == 1


class UnprintableError(Exception):
    def __str__(self):
        raise RuntimeError("no text")


def test_error_without_text_and_failing_log_handler_do_not_stop_sampling(world, monkeypatch):
    sampler = world.sampler(sample_interval=10.0)
    world.reader.error = UnprintableError()
    with sampler:
        assert sampler.health().last_error == "UnprintableError"

    def fail(*args, **kwargs):
        raise RuntimeError("handler")

    monkeypatch.setattr(logging.getLogger("memlens"), "log", fail)
    other = world.sampler(sample_interval=10.0)
    world.reader.error = ValueError("x")
    with other:
        assert other.health().reading_errors == 1


def test_interrupt_during_the_first_reading_reaches_the_caller(world):
    sampler = world.sampler(sample_interval=10.0)

    def interrupt(reading):
        raise KeyboardInterrupt

    sampler.subscribe(interrupt)
    with pytest.raises(KeyboardInterrupt):
        sampler.start()
    sampler.stop()
    assert not sampler.is_running


def test_missed_ticks_are_counted_and_not_repeated(world):
    sampler = world.sampler(sample_interval=10.0)
    with sampler:
        world.pass_time(35, step=35)
        world.pass_time(5, step=5)
    health = sampler.health()
    assert health.missed_ticks == 2
    assert [reading.monotonic_seconds for reading in sampler.readings()] == [
        1000.0,
        1035.0,
        1040.0,
    ]


def test_callback_may_stop_its_own_sampler(world):
    sampler, other = world.sampler(sample_interval=10.0), world.sampler(sample_interval=10.0)
    sampler.subscribe(lambda reading: reading.monotonic_seconds > 1000 and sampler.stop())
    with other, sampler:
        world.pass_time(30)
        assert not sampler.is_running
    assert len(sampler.readings()) == 2
    assert len(other.readings()) == 4


def test_sampler_stopped_by_a_callback_of_another_gets_no_reading(world):
    first, second = world.sampler(sample_interval=10.0), world.sampler(sample_interval=10.0)
    first.subscribe(lambda reading: second.stop())
    with second, first:
        pass
    second.start()
    first.start()  # its first reading stops the other
    assert not second.is_running
    first.stop()
    assert len(second.readings()) == 2


def test_reading_older_than_the_newest_is_dropped(world):
    sampler = world.sampler(sample_interval=10.0)
    with sampler:
        world.clock.advance(-1.0)
        sampler.receive(world.reader(uss=False, children=False), missed=0)
    assert [reading.monotonic_seconds for reading in sampler.readings()] == [1000.0]
    assert sampler.health().readings_taken == 1


def fork(world, sampler):
    """Do what happens in a forked child."""
    sampler._lock._free_in_child()
    world.sampling.after_fork_in_child()


def test_forked_child_takes_its_first_reading_one_interval_after_the_fork(world):
    sampler = world.sampler(sample_interval=10.0)
    sampler.start()
    world.pass_time(27, step=27)
    fork(world, sampler)
    assert sampler.is_running
    assert sampler.readings() == []
    assert sampler.health().readings_taken == sampler.health().missed_ticks == 0
    world.pass_time(19)
    assert [reading.monotonic_seconds for reading in sampler.readings()] == [1037.0]
    sampler.stop()


def test_forked_child_does_not_wait_for_locks_of_the_parents_threads(world):
    sampler = world.sampler(sample_interval=10.0)
    sampler.start()
    holder = threading.Thread(target=sampler._lock.acquire)
    holder.start()
    holder.join()  # its lock stays locked, as that of a thread that is not in the child
    fork(world, sampler)
    reader = threading.Thread(target=world.pass_time, args=(10,), daemon=True)
    reader.start()
    reader.join(60.0)
    assert len(sampler.readings()) == 1
    sampler.stop()


def test_readings_include_pauses_of_the_garbage_collector(world):
    sampler = world.sampler(sample_interval=10.0)
    with sampler:
        gc.collect()
        gc.collect()
        world.pass_time(10)
        counted = sampler.latest
    gc.collect()
    assert counted.gc_pauses >= 2
    assert sampler.pauses.count == counted.gc_pauses
    if isinstance(sampler.pauses, MeasuredGcPauses):
        assert 0 < counted.gc_longest_pause_seconds <= counted.gc_pause_seconds
    else:
        assert counted.gc_longest_pause_seconds is counted.gc_pause_seconds is None


def test_health_converts_to_json_ready_values(world):
    sampler = world.sampler(sample_interval=10.0)
    with sampler:
        assert sampler.health().to_dict() == {
            "is_running": True,
            "thread_alive": False,
            "readings_taken": 1,
            "reading_errors": 0,
            "callback_errors": 0,
            "missed_ticks": 0,
            "last_error": None,
            "errors": 0,
        }
    assert not sampler.health().is_running


@pytest.mark.parametrize("interval", [0, -1.0, 0.0001, nan, inf, "10", None])
def test_invalid_interval_is_refused(interval):
    with pytest.raises(OptionError, match="sample_interval must be a number of seconds"):
        MemorySampler(sample_interval=interval)


@pytest.mark.parametrize("count", [0, -5, 1.5, "many"])
def test_invalid_number_of_readings_is_refused(count):
    with pytest.raises(OptionError, match="max_readings must be a whole number, 1 or more"):
        MemorySampler(max_readings=count)


def test_sampling_does_not_leak():
    clock = FakeClock()
    sampling = SamplingThread(clock=clock, reader=read_memory, threaded=False)
    sampler = MemorySampler(sample_interval=1.0, max_readings=50, sampling=sampling)

    def sample(count):
        for _ in range(count):
            clock.advance(1.0)
            sampling.run_due()
        gc.collect()
        return sys.getallocatedblocks()

    with sampler:
        before = sample(1200)  # caches fill in the first calls
        after = sample(1000)
    assert len(sampler.readings()) == 50
    assert after - before < 300  # a single object kept a reading would be 1000


def test_documented_memory_per_reading_is_right():
    assert 8 * (len(READING_COLUMNS) + 1) == 256
    assert "256 bytes" in MemorySampler.__doc__
