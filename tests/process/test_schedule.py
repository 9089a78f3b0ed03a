from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from memlens.process.schedule import Schedule


def test_key_is_due_at_each_interval_and_not_before():
    schedule = Schedule()
    schedule.add("a", 10.0, now=100.0)
    assert schedule.next_due() == 110.0
    assert schedule.take_due(109.9) == []
    assert schedule.take_due(110.0) == [("a", 0)]
    assert schedule.take_due(110.0) == []
    assert schedule.next_due() == 120.0


def test_key_taken_late_stays_on_its_grid_and_counts_missed_times():
    schedule = Schedule()
    schedule.add("a", 10.0, now=0.0)
    assert schedule.take_due(13.0) == [("a", 0)]
    assert schedule.next_due() == 20.0
    assert schedule.take_due(55.0) == [("a", 3)]
    assert schedule.next_due() == 60.0


def test_each_key_has_its_own_interval():
    schedule = Schedule()
    schedule.add("slow", 10.0, now=0.0)
    schedule.add("fast", 4.0, now=0.0)
    taken = {}
    while (now := schedule.next_due()) <= 20.0:
        for key, missed in schedule.take_due(now):
            assert missed == 0
            taken.setdefault(key, []).append(now)
    assert taken == {"slow": [10.0, 20.0], "fast": [4.0, 8.0, 12.0, 16.0, 20.0]}


def test_keys_can_be_added_and_removed():
    schedule = Schedule()
    assert schedule.next_due() is None
    assert not schedule.remove("a")
    schedule.add("a", 1.0, now=0.0)
    schedule.add("b", 2.0, now=0.0)
    assert len(schedule) == 2
    assert "a" in schedule
    assert schedule.remove("a")
    assert schedule.scheduled() == ["b"]
    schedule.restart(now=50.0)
    assert schedule.next_due() == 52.0
    schedule.clear()
    assert schedule.next_due() is None


@given(st.floats(0.001, 1e6), st.floats(0, 1e9), st.lists(st.floats(0, 1e7), max_size=20))
def test_key_is_due_once_per_instant_and_counts_are_exact(interval, start, steps):
    schedule = Schedule()
    schedule.add("a", interval, start)
    now = start
    counted = 0
    for step in steps:
        now += step
        counted += sum(1 + missed for _, missed in schedule.take_due(now))
        assert schedule.take_due(now) == []
        assert schedule.next_due() > now
        # Within one, and what rounding of times and of the interval can do.
        assert abs(counted - (now - start) / interval) <= 1 + 1e-6 * (counted + now / interval)
