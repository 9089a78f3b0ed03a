"""Memory that rises fast against its limit gives an alert at once; anything slower does not."""

from dataclasses import replace

import pytest

import memlens
from memlens.profiler.steep_rise import SteepRise

MIB = 1 << 20
LIMIT = 1000 * MIB


def readings(levels_mib, seconds=10.0):
    template = memlens.read_memory()
    return [
        replace(template, rss_bytes=int(level * MIB), monotonic_seconds=100 + seconds * number)
        for number, level in enumerate(levels_mib)
    ]


def alerts_of(levels_mib, limit=LIMIT, seconds=10.0):
    rise = SteepRise(lambda: limit)
    return [rise.observe(reading) for reading in readings(levels_mib, seconds)]


def test_the_fourth_reading_of_a_steep_rise_gives_an_alert():
    *before, alert = alerts_of([600, 630, 660, 690])
    assert before == [None] * 3
    assert (alert.kind, alert.series) == ("steep", "rss")
    assert alert.slope_bytes_per_hour == pytest.approx(3 * 3600 * MIB)
    assert alert.seconds_to_limit == pytest.approx(310 / 3)
    assert alert.growth_bytes == 90 * MIB
    assert alert.confidence == pytest.approx(23 / 24)
    assert str(alert).startswith("steep rise of memory in rss: +10.5 GiB/h (between ")


@pytest.mark.parametrize(
    "levels",
    [
        [600, 630, 660],  # too few
        [600, 630, 620, 650, 680],  # falls in between
        [100, 200, 300, 400],  # loads its data
        [600, 600.1, 600.2, 600.3],  # hours are left
        [600, 630, 630, 660],
    ],
)
def test_anything_else_gives_none(levels):
    assert alerts_of(levels) == [None] * len(levels)


def test_without_a_limit_there_is_none():
    assert alerts_of([600, 630, 660, 690], limit=None) == [None] * 4


def test_above_the_limit_no_time_is_left():
    assert alerts_of([970, 990, 1010, 1030])[-1].seconds_to_limit == 0


def test_readings_at_one_time_are_no_rise():
    assert alerts_of([600, 630, 660, 690], seconds=0) == [None] * 4


def test_readings_are_forgotten():
    rise = SteepRise(lambda: LIMIT)
    *first, last = readings([600, 630, 660, 690])
    for reading in first:
        rise.observe(reading)
    rise.reset()
    assert rise.observe(last) is None
