"""The statistics under the leak detector, against numpy and brute force."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memlens.process.detector.envelope import HISTORY_BUCKETS, RECENT_BUCKETS, Envelope, thinned
from memlens.process.detector.season import deseasoned
from memlens.process.detector.trend import (
    effective_increments,
    hinge,
    median,
    robust_deviation,
    sen_slope,
    suffix_minimum,
    trend,
    variance_inflation,
)

values = st.lists(st.integers(0, 10**6).map(float), min_size=3, max_size=30)


@given(values)
def test_slope_is_the_median_of_all_pairwise_slopes(lows):
    times = [10.0 * i for i in range(len(lows))]
    slopes = [
        (lows[j] - lows[i]) / (times[j] - times[i]) for i, j in combinations(range(len(lows)), 2)
    ]
    assert sen_slope(times, lows) == pytest.approx(np.median(slopes))
    found = trend(times, lows)
    assert found.slope == pytest.approx(np.median(slopes))
    assert found.low <= found.slope <= found.high
    assert 0 <= found.p_value <= 1


@given(values)
def test_mirrored_series_has_the_opposite_trend(lows):
    times = [float(i) for i in range(len(lows))]
    up, down = trend(times, lows), trend(times, [-low for low in lows])
    assert up.slope == pytest.approx(-down.slope)
    assert up.p_value == pytest.approx(down.p_value)


@given(values)
def test_median_and_deviation_agree_with_numpy(lows):
    assert median(sorted(lows)) == pytest.approx(np.median(lows))
    spread = np.median(np.abs(np.asarray(lows) - np.median(lows)))
    assert robust_deviation(lows) == pytest.approx(1.4826 * spread)


@given(values)
def test_suffix_minimum_is_the_minimum_of_the_rest(lows):
    assert suffix_minimum(lows) == [min(lows[i:]) for i in range(len(lows))]


def test_growth_in_k_equal_steps_counts_as_k_increments():
    for steps in (1, 2, 7):
        series = [float(i * steps // 50) for i in range(50)] + [float(steps)]
        assert effective_increments(series) == pytest.approx(steps)
    assert effective_increments([3.0, 3.0, 3.0]) == 0.0


def test_fewer_than_three_points_have_no_trend():
    assert trend([1.0], [2.0]).p_value == 1.0
    assert trend([1.0, 1.0, 1.0], [1.0, 2.0, 3.0]).low == -float("inf")
    assert sen_slope([1.0], [2.0]) == 0.0


def test_interval_covers_the_true_slope_and_false_trends_are_rare_in_white_noise():
    rng = np.random.default_rng(7)
    times = [float(i) for i in range(24)]
    held = false = 0
    for _ in range(300):
        noise = rng.normal(0, 1, 24)
        found = trend(times, [0.3 * t + n for t, n in zip(times, noise, strict=True)])
        held += found.low <= 0.3 <= found.high
        false += trend(times, noise.tolist()).p_value < 0.05
    assert held >= 297
    assert false <= 24  # 15 expected at 5 %


def test_autocorrelated_noise_gives_few_false_trends():
    rng = np.random.default_rng(11)
    times = [float(i) for i in range(36)]
    plain = corrected = 0
    for _ in range(200):
        walk = [0.0]
        for shock in rng.normal(0, 1, 35):
            walk.append(0.8 * walk[-1] + shock)
        found = trend(times, walk)
        corrected += found.p_value < 0.01
        signs = sum(np.sign(walk[j] - walk[i]) for i, j in combinations(range(36), 2))
        plain += abs(signs) / np.sqrt(36 * 35 * 77 / 18) > 2.576
    assert corrected < plain / 2


def test_white_residuals_inflate_the_variance_little_and_constant_ones_not_at_all():
    assert variance_inflation([1.0] * 20) == 1.0
    alternating = [float(i % 2) for i in range(20)]
    assert variance_inflation(alternating) >= 1.0
    assert variance_inflation([float(abs(i - 10)) for i in range(20)]) > 2


def test_hinge_finds_where_a_flat_series_begins_to_rise():
    times = [float(i) for i in range(40)]
    bend, share = hinge(times, [max(0.0, t - 15) for t in times])
    assert bend == 15
    assert share > 0.95
    assert hinge(times, times)[0] == 0


def test_clear_sinusoid_is_removed_and_the_line_is_kept():
    times = [600.0 * i for i in range(36)]
    series = [0.01 * t + 50 * np.sin(2 * np.pi * t / 5400) for t in times]
    rest, amplitude = deseasoned(times, series)
    assert sen_slope(times, rest) == pytest.approx(0.01, rel=0.25)
    assert amplitude == pytest.approx(50, rel=0.2)
    assert np.std(np.asarray(rest) - 0.01 * np.asarray(times)) < 15


def test_noise_and_steps_have_no_season():
    times = [600.0 * i for i in range(36)]
    assert deseasoned(times, np.random.default_rng(3).normal(0, 1, 36).tolist()) is None
    assert deseasoned(times, [0.0] * 11 + [80.0] * 25) is None


@given(st.lists(st.floats(0, 1e12), min_size=1, max_size=700))
def test_envelope_covers_everything_in_bounded_memory(lows):
    envelope = Envelope()
    for i, low in enumerate(lows):
        envelope.add(float(i), low, low + 1)
    times, recent = envelope.recent()
    assert recent == lows[-RECENT_BUCKETS:]
    assert times[-1] == len(lows) - 1
    history_times, history = envelope.history()
    assert len(history) <= HISTORY_BUCKETS
    width = envelope.merge
    full = len(lows) // width
    assert history == [min(lows[i * width : (i + 1) * width]) for i in range(full)]
    assert all(lows[int(t)] == low for t, low in zip(history_times, history, strict=True))
    assert envelope.spreads(5) == pytest.approx([(low + 1) - low for low in lows[-5:]], abs=1e-3)


@given(st.lists(st.floats(0, 1e9), min_size=1, max_size=400), st.integers(1, 400))
def test_highest_floor_before_an_instant_is_never_too_high(lows, at):
    envelope = Envelope()
    for i, low in enumerate(lows):
        envelope.add(float(i), low, low)
    truth = max(lows[:at], default=-float("inf"))
    found = envelope.highest_floor_before(float(at))
    assert found <= truth
    if len(lows) <= RECENT_BUCKETS:
        assert found == truth


@given(st.lists(st.floats(0, 1e9), min_size=1, max_size=200), st.integers(2, 50))
def test_thinning_keeps_minima_and_returns_at_most_the_requested_points(lows, most):
    times, few = thinned(([float(i) for i in range(len(lows))], lows), most)
    assert len(few) <= most
    assert times == sorted(times)
    assert min(few) == min(lows[len(lows) % -(-len(lows) // most) :])
