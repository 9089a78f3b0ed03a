"""Statistics: does one group of values lie higher than another, and is that more than chance?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import erfc, sqrt

__all__ = ("RankSums", "holm", "rank_test")


@dataclass(frozen=True, slots=True)
class RankSums:
    """Two groups of values, as far as the rank test needs them.

    ``before``, ``after``: how many values each has; ``after_ranks``: the sum of the ranks of the
    second group among all, ties ranked by their mean; ``ties``: the sum of t³ - t over groups of t
    equal values.
    """

    before: int
    after: int
    after_ranks: float
    ties: float


def rank_test(sums: RankSums) -> float:
    """Return the two-sided p-value of the test of Mann and Whitney (1947).

    By the normal approximation with correction for ties and continuity, which fits from about eight
    values in each group on. 1.0 where all values are equal or a group is empty.
    """
    first, second = sums.before, sums.after
    total = first + second
    if not first or not second:
        return 1.0
    u = sums.after_ranks - second * (second + 1) / 2
    variance = first * second / 12 * ((total + 1) - sums.ties / (total * (total - 1)))
    if variance <= 0:
        return 1.0
    distance = max(0.0, abs(u - first * second / 2) - 0.5)
    return erfc(distance / sqrt(variance) / sqrt(2))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for that many comparisons, by the method of Holm (1979).

    With a bound on them, the chance of one false result or more is below that bound.
    """
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    corrected, largest = [1.0] * len(p_values), 0.0
    for done, place in enumerate(order):
        largest = max(largest, min(1.0, p_values[place] * (len(p_values) - done)))
        corrected[place] = largest
    return corrected
