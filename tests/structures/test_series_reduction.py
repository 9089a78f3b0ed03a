"""Summary, peaks and minimums against numpy and against the plain definition."""

from __future__ import annotations

from array import array
from math import floor, inf, isinf, isnan, nan

import numpy
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from memlens.structures import NumericTimeSeries
from memlens.structures._reduction import bucket_minimums, keep_peaks, summarize

values_or_missing = st.lists(st.floats(-1e9, 1e9) | st.just(nan), max_size=60)


@st.composite
def points(draw):
    values = draw(values_or_missing)
    steps = draw(
        st.lists(st.floats(0, 100), min_size=len(values), max_size=len(values)).map(numpy.cumsum)
    )
    return array("d", steps), array("d", values)


@given(points(), st.lists(st.floats(0, 1), max_size=5))
def test_summary_agrees_with_numpy(columns, fractions):
    times, values = columns
    measured = [value for value in values if not isnan(value)]
    summary = summarize(times, values, fractions)
    assert summary.count == len(measured)
    assert summary.missing == len(values) - len(measured)
    if not measured:
        assert isnan(summary.min)
        assert isnan(summary.mean)
        assert all(isnan(value) for value in summary.quantiles.values())
        return
    kept_times = [when for when, value in zip(times, values, strict=True) if not isnan(value)]
    assert (summary.first_timestamp, summary.last_timestamp) == (kept_times[0], kept_times[-1])
    assert (summary.min, summary.max) == (min(measured), max(measured))
    assert summary.mean == pytest.approx(numpy.mean(measured), rel=1e-9, abs=1e-6)
    for fraction in fractions:
        expected = numpy.quantile(measured, fraction)
        assert summary.quantiles[fraction] == pytest.approx(expected, rel=1e-9, abs=1e-6)


@given(st.lists(st.floats(allow_nan=False), min_size=1, max_size=30), st.floats(0, 1))
@example([0.0, inf], 0.0)
@example([-inf, 1.0, inf], 0.5)
@example([-1.7e308, 1.7e308], 0.25)
def test_quantile_is_between_its_neighbours(values, fraction):
    times = array("d", range(len(values)))
    found = summarize(times, array("d", values), [fraction]).quantiles[fraction]
    place = fraction * (len(values) - 1)
    ordered = sorted(values)
    low, high = ordered[floor(place)], ordered[min(floor(place) + 1, len(values) - 1)]
    if isinf(low) and isinf(high) and low != high and place != floor(place):
        assert isnan(found)  # between minus and plus infinity
    else:
        slack = 1e-12 * max(abs(low), abs(high)) if not (isinf(low) or isinf(high)) else 0.0
        assert low - slack <= found <= high + slack


def test_mean_is_correct_if_the_sum_overflows():
    times = array("d", range(4))
    assert summarize(times, array("d", [1e308] * 4), ()).mean == pytest.approx(1e308)
    assert isnan(summarize(times, array("d", [inf, -inf, 1, 2]), ()).mean)
    assert summarize(times, array("d", [inf, 1, 1, 2]), ()).mean == inf


@pytest.mark.parametrize("fraction", [-0.1, 1.1, nan])
def test_quantile_outside_0_to_1_is_refused(fraction):
    with pytest.raises(ValueError, match="between 0 and 1"):
        NumericTimeSeries(3).summary(quantiles=(fraction,))


@given(points(), st.integers(4, 70))
@settings(max_examples=200)
def test_downsampling_keeps_ends_minimum_and_maximum(columns, count):
    times, values = columns
    all_points = list(zip(times, values, strict=True))
    measured = [point for point in all_points if not isnan(point[1])]
    kept_times, kept_values = keep_peaks(times, values, count)
    kept = list(zip(kept_times, kept_values, strict=True))
    assert len(kept) <= count
    remaining = iter(measured)
    assert all(point in remaining for point in kept)  # a subsequence: real points, in order
    if measured:
        assert kept[0] == measured[0]
        assert kept[-1] == measured[-1]
        assert min(kept_values) == min(value for _, value in measured)
        assert max(kept_values) == max(value for _, value in measured)
    if len(measured) <= count:
        assert kept == measured


def test_every_interval_keeps_its_peak_and_trough():
    times = array("d", range(1000))
    values = array("d", [0.0] * 1000)
    for stretch in range(10):
        values[stretch * 100 + 37] = 5.0 + stretch
        values[stretch * 100 + 53] = -5.0 - stretch
    kept_times, kept_values = keep_peaks(times, values, 22)
    assert len(kept_times) == 22
    assert list(kept_values) == [
        0.0,
        *[value for stretch in range(10) for value in (5.0 + stretch, -5.0 - stretch)],
        0.0,
    ]


def test_downsampling_handles_a_single_instant_and_the_widest_span():
    one_instant = keep_peaks(array("d", [5.0] * 50), array("d", range(50)), 4)
    assert list(one_instant[1]) == [0.0, 49.0]
    times = array("d", [-1.7e308, *[-1e300] * 9, *[1e300] * 9, 1.7e308])
    values = array("d", [0, *range(1, 10), -9, 5, *[1] * 7, 0])
    assert list(keep_peaks(times, values, 6)[1]) == [0.0, 9.0, -9.0, 5.0, 0.0]


def test_downsampling_keeps_the_peak_of_the_last_instant():
    times = array("d", [0, 1, 2, 3, 4, 5, 6, 6, 6, 6])
    values = array("d", [0, 0, 0, 0, 0, 0, 0, 7, -7, 0])
    assert list(keep_peaks(times, values, 6)[1]) == [0.0, 7.0, -7.0, 0.0]


def test_downsampling_to_fewer_than_four_points_is_refused():
    with pytest.raises(ValueError, match="at least 4"):
        NumericTimeSeries(3).downsample(3)


@given(points(), st.sampled_from([0.5, 1.0, 7.0, 1000.0]))
def test_minimums_agree_with_grouping_by_whole_multiples_of_the_width(columns, width):
    times, values = columns
    groups: dict[float, list[tuple[float, float]]] = {}
    for when, value in zip(times, values, strict=True):
        if not isnan(value):
            groups.setdefault(when // width, []).append((value, when))
    expected = [(min(group)[1], min(group)[0]) for group in groups.values()]
    assert list(zip(*bucket_minimums(times, values, width), strict=True)) == expected


def test_minimums_do_not_change_when_older_points_leave_the_ring():
    series = NumericTimeSeries(100)
    for second in range(100):
        series.add(second, (second * 37) % 11)
    before = list(zip(*series.minimums(10), strict=True))
    for second in range(100, 115):
        series.add(second, 50.0)
    after = list(zip(*series.minimums(10), strict=True))
    assert after[1:9] == before[2:10]


@pytest.mark.parametrize("width", [0.0, -1.0, nan, inf])
def test_bucket_width_must_be_positive(width):
    with pytest.raises(ValueError, match="positive number"):
        NumericTimeSeries(3).minimums(width)
