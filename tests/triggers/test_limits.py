"""When a snapshot is due before the limit: by headroom, by need, by rate, once."""

from __future__ import annotations

import pytest

from memlens import triggers
from memlens.errors import OptionError
from memlens.heap.capture.need import CaptureNeed
from memlens.process.headroom import Headroom
from memlens.triggers.limits import BeforeLimit
from tests.clock import FakeClock
from tests.triggers.hosts import NotingHost, PlantedMeter

MIB = 1 << 20
LIMIT = 1000 * MIB


class Watch:
    """A trigger without its thread: the test calls `step` and moves the clock."""

    def __init__(self, free_mib, *, need_mib=0, source="cgroup-v2", **options):
        self.clock, self.host, self.meter = FakeClock(0.0), NotingHost(), PlantedMeter()
        self.source = source
        self.need = CaptureNeed(need_mib * MIB, need_mib * MIB, 1.0)
        self.trigger = BeforeLimit(
            0.1, self.meter, clock=self.clock, need=lambda: self.need, **options
        )
        self.trigger._host = self.host
        self.step(free_mib)

    def step(self, free_mib, seconds=1000.0):
        self.clock.advance(seconds)
        self.meter.set_free(free_mib * MIB, LIMIT, self.source)
        return self.trigger.step()


def test_one_snapshot_is_taken_when_the_headroom_falls_below_its_share():
    watch = Watch(500)
    watch.step(101)
    assert watch.host.waited == []
    watch.step(99)
    assert watch.host.waited == ["limit"]


def test_steady_process_above_the_threshold_fires_once():
    watch = Watch(50)
    for _ in range(100):
        watch.step(50)
        watch.step(60)
    assert watch.host.waited == ["limit"]


def test_it_is_armed_again_when_half_as_much_headroom_again_is_there():
    watch = Watch(50)
    watch.step(140)
    watch.step(50)
    assert watch.host.waited == ["limit"]
    watch.step(160)
    watch.step(50)
    assert watch.host.waited == ["limit"] * 2


@pytest.mark.parametrize(
    ("free_mib", "fires"), [(340, False), (320, True)], ids=["enough", "too little"]
)
def test_a_heap_whose_capture_needs_more_than_the_headroom_is_captured_earlier(free_mib, fires):
    assert bool(Watch(free_mib, need_mib=300).host.waited) is fires


def test_a_limit_on_the_resident_memory_alone_does_not_bind_the_child():
    assert Watch(320, need_mib=300, source="given").host.waited == []


def test_a_fast_leak_is_captured_before_the_threshold():
    slow, fast = Watch(500), Watch(500)
    slow.step(200)
    fast.step(200, seconds=0.3)  # 1000 MiB a second: gone in a fifth of a second
    assert (slow.host.waited, fast.host.waited) == ([], ["limit"])


def test_the_program_is_held_up_only_where_memory_rises_fast():
    slow, fast = Watch(500), Watch(500)
    slow.step(90)
    fast.step(90, seconds=0.4)
    paces = []
    for watch in (slow, fast):
        (guard,) = watch.host.guards
        assert guard.refusal() is None
        paces.append(guard.pace())
    assert paces == ["run", "hold"]


@pytest.mark.parametrize("free_mib", [900, 500, 250, 160, 130, 110])
def test_a_leak_of_a_gib_a_second_cannot_use_up_the_margin_between_two_checks(free_mib):
    seconds = Watch(free_mib).trigger.step()
    margin_mib = free_mib - 100
    assert seconds * 1024 <= max(margin_mib, 0.02 * 1024)
    assert seconds >= 0.02


def test_with_much_headroom_checks_are_rare():
    watch = Watch(500)
    watch.meter.set_free(100 << 30, 200 << 30)
    assert watch.trigger.step() == 1.0


def test_the_nearest_of_several_limits_decides():
    watch = Watch(500)
    watch.meter.rooms = (
        Headroom("cgroup-v2", LIMIT, 0),
        Headroom("cgroup-v2", 4 * LIMIT, 4 * LIMIT - 50 * MIB),  # of the group above
    )
    watch.trigger.step()
    assert watch.host.waited == ["limit"]


def test_processes_of_a_container_capture_one_after_the_other():
    watch = Watch(500)
    watch.host.is_other = True
    watch.step(50)
    assert watch.host.waited == []
    watch.host.is_other = False
    watch.step(50)
    assert watch.host.waited == ["limit"]


def test_pressure_fires_once_until_it_has_gone():
    watch = Watch(500, pressure=0.3)
    for stalled in (0.1, 0.4, 0.5, 0.25, 0.4, 0.1, 0.4):
        watch.meter.stalled = stalled
        watch.step(500)
    assert watch.host.waited == ["pressure"] * 2


def test_without_limits_nothing_happens():
    watch = Watch(500)
    watch.meter.rooms = ()
    assert watch.trigger.step() == 1.0
    assert watch.host.waited == []


def test_start_and_stop_of_the_thread():
    host, meter = NotingHost(), PlantedMeter()
    trigger = BeforeLimit(0.1, meter)
    trigger.start(host)
    assert trigger._ticker.is_running
    trigger.stop()
    assert not trigger._ticker.is_running


@pytest.mark.parametrize(
    "options",
    [
        {"headroom": 0},
        {"headroom": 0.95},
        {"headroom": "10%"},
        {"limit": 0},
        {"limit": 1.5},
        {"pressure": 0},
        {"min_seconds": -1},
    ],
)
def test_options_are_checked(options):
    with pytest.raises(OptionError):
        triggers.before_limit(**options)


def test_repr():
    assert repr(triggers.before_limit(0.2)) == "before_limit(0.2)"
