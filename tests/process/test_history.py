"""MemoryHistory: any time in a bounded number of points, and no peak lost."""

from __future__ import annotations

import sys
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memlens.errors import OptionError
from memlens.process import read_memory
from memlens.process.history import HistoryPoint, MemoryHistory, thinned


def point(second, rss, malloc=None, **others):
    values = {"limit_bytes": 1 << 30, "limit_source": "cgroup-v2"} | others
    return HistoryPoint(
        1000.0 + second,
        float(second),
        rss,
        malloc,
        allocated_blocks=7,
        full_collections=3,
        **values,
    )


def test_points_come_back_as_they_were():
    history = MemoryHistory(12)
    points = [point(0, 5), point(1, 6, 4), point(2, 7, limit_bytes=None, limit_source="unknown")]
    for one in points:
        history.add(one)
    assert history.points == tuple(points)
    assert all(type(one.rss_bytes) is int for one in history.points)
    history.clear()
    assert history.points == ()


def test_a_reading_becomes_a_point():
    reading = read_memory()
    one = HistoryPoint.of(reading, 5)
    assert (one.rss_bytes, one.malloc_bytes) == (reading.rss_bytes, 5)
    assert one.full_collections == reading.gc_collections[2]


def test_a_week_of_readings_keeps_its_ends_its_peaks_and_its_size():
    history = MemoryHistory(400)
    size = sys.getsizeof(history._columns[0])
    for second in range(0, 7 * 24 * 3600, 60):
        peak = 10**9 if second == 3600 * 30 else 0
        trough = -400 if second == 3600 * 100 else 0
        history.add(point(second, 1000 + second // 600 % 100 + peak + trough, 5 + (peak > 0)))
    points = history.points
    assert len(points) <= 400
    assert points[0].monotonic_seconds == 0
    assert points[-1].monotonic_seconds == 7 * 24 * 3600 - 60
    assert max(one.rss_bytes for one in points) > 10**9
    assert min(one.rss_bytes for one in points) < 700
    gaps = [b.monotonic_seconds - a.monotonic_seconds for a, b in pairwise(points)]
    assert max(gaps) < 7 * 24 * 3600 / 20  # all of the time is there
    assert sys.getsizeof(history._columns[0]) == size


@given(
    st.lists(
        st.tuples(
            st.floats(0, 1e6), st.integers(0, 1000), st.one_of(st.none(), st.integers(0, 1000))
        ),
        max_size=200,
    ),
    st.integers(6, 50),
)
def test_thinning_keeps_the_limit_the_order_and_the_extremes(values, limit):
    points = [
        point(second, rss, malloc) for second, rss, malloc in sorted(values, key=lambda v: v[0])
    ]
    kept = thinned(points, limit)
    assert len(kept) <= max(limit, 0)
    assert [one for one in points if one in kept][:1] == kept[:1]
    assert [one.monotonic_seconds for one in kept] == sorted(one.monotonic_seconds for one in kept)
    for series in ("rss_bytes", "malloc_bytes"):
        known = [v for one in points if (v := getattr(one, series)) is not None]
        still = [v for one in kept if (v := getattr(one, series)) is not None]
        if known:
            assert (min(still), max(still)) == (min(known), max(known))


def test_a_history_that_is_too_small_is_refused():
    with pytest.raises(OptionError, match="max_points must be a whole number, 12 or more"):
        MemoryHistory(5)
