"""The ring of points against a plain list of tuples."""

from __future__ import annotations

import sys
import threading
import tracemalloc
from bisect import bisect_left, bisect_right
from math import inf, isnan, nan

import numpy
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from memlens.structures import MultiSeries, NumericTimeSeries, _ring

steps = st.sampled_from([0.0, 0.25, 1.0, 3.0, 1e6])
numbers = st.floats(allow_nan=False, width=32)
bounds = st.one_of(st.integers(-2, 60), st.floats(-5, 200), st.sampled_from([inf, -inf]))


def filled(max_points: int, timestamps) -> NumericTimeSeries:
    series = NumericTimeSeries(max_points)
    for timestamp in timestamps:
        series.add(timestamp, timestamp * 10.0)
    return series


def pairs(views) -> list[tuple[float, float]]:
    timestamps, values = views
    assert timestamps.readonly
    assert values.readonly
    assert timestamps.format == values.format == "d"
    return list(zip(timestamps, values, strict=True))


class SeriesModel(RuleBasedStateMachine):
    @initialize(max_points=st.integers(1, 12))
    def make(self, max_points):
        self.max_points = max_points
        self.series = NumericTimeSeries(max_points)
        self.model: list[tuple[float, float]] = []
        self.now = 0.0

    @rule(step=steps, value=numbers)
    def add(self, step, value):
        self.now += step
        self.series.add(self.now, value)
        self.model = [*self.model, (self.now, value)][-self.max_points :]

    @rule(count=st.integers(1, 15))
    def add_many(self, count):
        for value in range(count):
            self.add(1.0, value)

    @rule(back=st.floats(0.001, 1e3))
    def going_back_is_refused(self, back):
        if self.model:
            with pytest.raises(ValueError, match="must not go back"):
                self.series.add(self.now - back, 0.0)

    @rule()
    def clear(self):
        self.series.clear()
        self.model = []
        self.now = 0.0

    @rule(start=bounds, end=bounds)
    def ranges_agree(self, start, end):
        expected = [point for point in self.model if start <= point[0] <= end]
        assert pairs(self.series.range(start, end)) == expected

    @rule(low=st.integers(0, 11), high=st.integers(0, 11))
    def ranges_between_points_agree(self, low, high):
        if self.model:
            start = self.model[low % len(self.model)][0]
            end = self.model[high % len(self.model)][0]
            expected = [point for point in self.model if start <= point[0] <= end]
            assert pairs(self.series.range(start, end)) == expected

    @rule(seconds=st.floats(0, 20))
    def windows_agree(self, seconds):
        since = self.model[-1][0] - seconds if self.model else 0.0
        expected = [point for point in self.model if point[0] >= since]
        assert pairs(self.series.window(seconds)) == expected

    @invariant()
    def content_agrees(self):
        assert len(self.series) == len(self.model)
        assert list(self.series) == self.model
        assert self.series.latest == (self.model[-1] if self.model else None)
        assert pairs(self.series.views()) == self.model
        segments = self.series.segments()
        assert [point for segment in segments for point in pairs(segment)] == self.model
        assert len(segments) <= 2


TestSeriesModel = SeriesModel.TestCase
TestSeriesModel.settings = settings(max_examples=120, stateful_step_count=40, deadline=None)


class MultiSeriesModel(RuleBasedStateMachine):
    @initialize(max_points=st.integers(1, 6), count=st.integers(1, 4))
    def make(self, max_points, count):
        self.names = [f"column{i}" for i in range(count)]
        self.series = MultiSeries(self.names, max_points)
        self.model: list[tuple[float, tuple[float | None, ...]]] = []
        self.now = 0.0

    @rule(step=steps, data=st.data())
    def add(self, step, data):
        width = len(self.names)
        row = data.draw(st.lists(st.none() | numbers, min_size=width, max_size=width))
        self.now += step
        self.series.add(self.now, row)
        self.model = [*self.model, (self.now, tuple(row))][-self.series.max_points :]

    @rule()
    def clear(self):
        self.series.clear()
        self.model = []
        self.now = -5.0

    @invariant()
    def content_agrees(self):
        rows = [(when, with_none(row)) for when, row in self.series]
        assert rows == self.model
        assert len(self.series) == len(self.model)
        latest = self.series.latest
        assert (latest and (latest[0], with_none(latest[1]))) == (
            self.model[-1] if self.model else None
        )
        for place, name in enumerate(self.names):
            column = [(when, with_none([value])[0]) for when, value in self.series[name]]
            assert column == [(when, row[place]) for when, row in self.model]


def with_none(row):
    return tuple(None if isnan(value) else value for value in row)


TestMultiSeriesModel = MultiSeriesModel.TestCase
TestMultiSeriesModel.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)


@pytest.mark.parametrize("added", [0, 1, 599, 600, 601, 700, 1000, 1150, 1201, 1202])
@pytest.mark.parametrize("repeats", [1, 3])
def test_ranges_of_all_lengths_agree_with_bisect_on_a_list(added, repeats):
    times = [float(place // repeats) for place in range(added)]
    series = filled(600, times)
    times = times[-600:]
    bounds = sorted(set(times[::7] + times[-30:] + times[:30]))
    lengths = (-1, 0, 0.5, 1, 2, 84, 85, 86, 254, 255, 256, 257, 258, 500, 2000)
    for start in [-1.0, *bounds, 5000.0]:
        for end in (start + length for length in lengths):
            expected = times[bisect_left(times, start) : bisect_right(times, end)]
            assert list(series.range(start, end)[0]) == expected, (start, end)


@pytest.mark.parametrize("meanwhile", range(8))
@pytest.mark.parametrize("added", [3, 4, 7, 9])
def test_copy_has_no_point_that_was_overwritten_during_the_copy(monkeypatch, added, meanwhile):
    series = filled(5, range(added))
    points = list(series)
    unrolled = _ring.unrolled

    def overtaken(ring, low, high):
        copied = unrolled(ring, low, high)
        if ring is series._times:  # between the two halves of the copy
            for timestamp in range(added, added + meanwhile):
                series.add(timestamp, timestamp * 10.0)
        return copied

    monkeypatch.setattr(_ring, "unrolled", overtaken)
    copied = list(series)
    assert copied == points[max(0, added + meanwhile - 5 - max(0, added - 5)) :]


def test_range_that_does_not_wrap_shares_the_memory_of_the_ring():
    series = filled(10, range(5))
    _, values = series.range(1, 3)
    array = numpy.asarray(values)
    assert not array.flags.writeable
    series.clear()
    for timestamp in range(20, 31):  # the ring of 11 slots overwrites the viewed slots
        series.add(timestamp, -1.0)
    assert set(array.tolist()) == {-1.0}


def test_range_that_wraps_is_a_copy():
    series = filled(4, range(7))  # 5 slots: points 5 and 6 are at the start of the ring
    _, values = series.range(3, 6)
    for timestamp in range(7, 20):
        series.add(timestamp, -1.0)
    assert list(values) == [30.0, 40.0, 50.0, 60.0]


def test_numpy_shares_the_values_until_the_ring_wraps():
    series = filled(10, range(6))
    array = numpy.asarray(series)
    assert array.dtype == numpy.float64
    assert array.tolist() == [0.0, 10.0, 20.0, 30.0, 40.0, 50.0]
    assert numpy.shares_memory(array, numpy.asarray(series.views()[1]))
    assert not array.flags.writeable
    wrapped = filled(4, range(7))
    assert numpy.asarray(wrapped).tolist() == [30.0, 40.0, 50.0, 60.0]
    assert numpy.asarray(NumericTimeSeries(3)).tolist() == []


def test_iteration_uses_a_copy():
    series = filled(3, range(3))
    points = iter(series)
    series.add(3, 30.0)
    assert [timestamp for timestamp, _ in points] == [0.0, 1.0, 2.0]
    rows = MultiSeries(("a",), 3)
    rows.add(0, (1.0,))
    kept = iter(rows)
    rows.add(1, (2.0,))
    assert list(kept) == [(0.0, (1.0,))]


@pytest.mark.parametrize("timestamp", [nan, inf, -inf])
def test_timestamp_must_be_finite(timestamp):
    series = NumericTimeSeries(3)
    rows = MultiSeries(("a",), 3)
    with pytest.raises(ValueError, match="finite number, not"):
        series.add(timestamp, 1.0)
    with pytest.raises(ValueError, match="finite number, not"):
        rows.add(timestamp, (1.0,))
    assert len(series) == len(rows) == 0


def test_equal_timestamps_are_allowed_and_found():
    series = NumericTimeSeries(5)
    for value in range(3):
        series.add(7.0, value)
    assert list(series.range(7.0, 7.0)[1]) == [0.0, 1.0, 2.0]
    assert list(series.window(0)[1]) == [0.0, 1.0, 2.0]


def test_value_of_the_wrong_type_changes_nothing():
    series = filled(3, range(2))
    with pytest.raises(TypeError):
        series.add(5, "much")
    rows = MultiSeries(("a", "b"), 3)
    rows.add(1, (1.0, 2.0))
    with pytest.raises(TypeError):
        rows.add(2, (5.0, "much"))
    assert list(series) == [(0.0, 0.0), (1.0, 10.0)]
    assert list(rows) == [(1.0, (1.0, 2.0))]
    series.add(1, 20.0)
    rows.add(1, (3.0, 4.0))
    assert series.latest == (1.0, 20.0)
    assert rows.latest == (1.0, (3.0, 4.0))


def test_bad_arguments_are_refused_with_their_value():
    with pytest.raises(ValueError, match="max_points must be at least 1, not 0"):
        NumericTimeSeries(0)
    with pytest.raises(TypeError):
        NumericTimeSeries(1.5)
    series = filled(3, range(3))
    for start, end in ((nan, 1.0), (1.0, nan)):
        with pytest.raises(ValueError, match="must not be NaN"):
            series.range(start, end)
    for seconds in (-1.0, nan):
        with pytest.raises(ValueError, match="must not be negative"):
            series.window(seconds)
    with pytest.raises(ValueError, match="one or more different"):
        MultiSeries((), 3)
    with pytest.raises(ValueError, match="one or more different"):
        MultiSeries(("a", "a"), 3)
    rows = MultiSeries(("a", "b"), 3)
    with pytest.raises(ValueError, match="2 values are needed, not 1"):
        rows.add(1.0, (1.0,))
    with pytest.raises(KeyError):
        rows["c"]


def test_column_has_the_queries_of_a_series_and_shows_new_rows():
    rows = MultiSeries(("rss", "blocks"), 100)
    rss = rows["rss"]
    for second in range(150):
        rows.add(second, (second * 2.0, None if second % 2 else 1.0))
    assert len(rss) == 100
    assert list(rss.range(148, 149)[1]) == [296.0, 298.0]
    assert rss.summary().max == 298.0
    assert rows["blocks"].summary().missing == 50
    assert not hasattr(rss, "add")


def test_point_takes_16_bytes_and_adding_allocates_nothing():
    series = NumericTimeSeries(1000)
    assert series.nbytes == 16 * 1001
    rows = MultiSeries(("a", "b", "c"), 1000)
    assert rows.nbytes == (8 + 3 * 8) * 1001
    for timestamp in range(2000):
        series.add(timestamp, timestamp)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for timestamp in range(2000, 22_000):
            series.add(timestamp, timestamp)
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown < 1000


def test_readers_in_other_threads_see_complete_points_in_order():
    series = NumericTimeSeries(50)
    failures: list[str] = []
    done = threading.Event()

    def read():
        while not done.is_set():
            points = list(series)
            if any(value != timestamp * 10.0 for timestamp, value in points):
                failures.append(f"torn point in {points}")
            if points != sorted(points):
                failures.append(f"out of order: {points}")
            latest = series.latest
            if latest and latest[1] != latest[0] * 10.0:
                failures.append(f"torn latest point {latest}")

    readers = [threading.Thread(target=read) for _ in range(2)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for reader in readers:
            reader.start()
        for timestamp in range(20_000):
            series.add(timestamp, timestamp * 10.0)
    finally:
        done.set()
        for reader in readers:
            reader.join()
        sys.setswitchinterval(interval)
    assert not failures, failures[0]


class InterruptedClock:
    """A bound that lets a writer run while a search compares with it."""

    def __init__(self, value: float, write) -> None:
        self.value = value
        self.write = write

    def __le__(self, other):
        return True

    def __gt__(self, other):
        self.write()
        return self.value > other

    def __lt__(self, other):
        self.write()
        return self.value < other


def test_search_is_repeated_if_the_writer_overtakes_it():
    series = filled(4, range(4))
    left = [30]

    def write():
        if left[0]:
            left[0] -= 1
            timestamp = series.latest[0] + 1
            series.add(timestamp, timestamp * 10.0)

    found = pairs(series.range(InterruptedClock(31, write), 1000))
    assert left == [0]
    assert found == [(31.0, 310.0), (32.0, 320.0), (33.0, 330.0)]
