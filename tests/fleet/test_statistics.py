"""The rank test against an exact count of arrangements, its rate of false results, and its power."""

from __future__ import annotations

import random
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memlens.fleet.statistics import RankSums, holm, rank_test


def sums_of(before, after):
    values = sorted([*before, *after])
    rank = {v: (2 * values.index(v) + values.count(v) + 1) / 2 for v in set(values)}
    ties = sum(values.count(v) ** 3 - values.count(v) for v in set(values))
    return RankSums(len(before), len(after), sum(rank[v] for v in after), float(ties))


def exact(before, after):
    """Return the share of all arrangements that are at least as far from the middle."""
    values = [*before, *after]
    middle = len(after) * (len(values) + 1) / 2
    seen = abs(sums_of(before, after).after_ranks - middle)
    far = total = 0
    for places in combinations(range(len(values)), len(after)):
        chosen = [values[place] for place in places]
        others = [values[place] for place in range(len(values)) if place not in places]
        far += abs(sums_of(others, chosen).after_ranks - middle) >= seen - 1e-9
        total += 1
    return far / total


@pytest.mark.parametrize("seed", range(4))
def test_the_approximation_is_near_to_the_exact_test(seed):
    rng = random.Random(seed)
    before = [rng.randrange(12) for _ in range(6)]
    after = [rng.randrange(12) + seed for _ in range(6)]
    assert rank_test(sums_of(before, after)) == pytest.approx(exact(before, after), abs=0.05)


def test_it_is_that_of_scipy_with_ties_and_without():
    """The values are those of ``scipy.stats.mannwhitneyu(..., method="asymptotic")``."""
    ties = sums_of([1] * 6 + [2] * 2, [1] * 2 + [2] * 6)
    assert rank_test(ties) == pytest.approx(0.06065853318560121)
    none = sums_of(range(10), range(4, 16))
    assert rank_test(none) == pytest.approx(0.006123830881178351)


def test_equal_values_and_empty_groups_show_nothing():
    assert rank_test(sums_of([1] * 9, [1] * 9)) == 1.0
    assert rank_test(RankSums(0, 5, 15.0, 0.0)) == 1.0


def test_no_change_is_called_real_as_rarely_as_said():
    rng = random.Random(5)
    false = 0
    for _ in range(300):
        p_values = [
            rank_test(sums_of(*[[rng.gauss(0, 1) for _ in range(12)] for _ in range(2)]))
            for _ in range(20)
        ]
        false += min(holm(p_values)) < 0.05
    assert false <= 25  # 15 are expected


def test_a_change_of_two_deviations_is_found():
    rng = random.Random(6)
    found = sum(
        rank_test(
            sums_of([rng.gauss(0, 1) for _ in range(15)], [rng.gauss(2, 1) for _ in range(15)])
        )
        < 0.01
        for _ in range(100)
    )
    assert found >= 95


@given(st.lists(st.floats(0, 1), min_size=1))
def test_corrected_values_are_larger_and_keep_their_order(p_values):
    corrected = holm(p_values)
    assert all(p <= c <= 1 for p, c in zip(p_values, corrected))
    assert all(
        corrected[a] <= corrected[b]
        for a in range(len(p_values)) for b in range(len(p_values)) if p_values[a] < p_values[b]
    )  # fmt: skip
    assert min(corrected) == pytest.approx(min(1.0, min(p_values) * len(p_values)))
