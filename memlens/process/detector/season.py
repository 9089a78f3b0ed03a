"""Removes a regular season from the floor, so that a slow leak under a strong cycle is found.

A load cycle that is longer than the buckets and stronger than the leak hides it from rank tests. If
one sinusoid explains most of the residuals of a line, over at least two cycles, it is subtracted.
Unlike smoothing this does not change steps, ramps and plateaus.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import cos, pi, sin

__all__ = ("deseasoned",)

_MIN_CYCLES = 2.2
_MIN_POINTS_A_CYCLE = 4
_PERIODS = 24
_EXPLAINED = 0.8

Column = list[float]


def deseasoned(times: Sequence[float], values: Sequence[float]) -> tuple[list[float], float] | None:
    """Return the values without their season and its amplitude, or None if none is clear.

    Fits a line and one sinusoid by least squares over a grid of periods (a periodogram that allows
    for the trend). The work is linear in the number of points for each period.
    """
    count, span = len(times), times[-1] - times[0]
    shortest, longest = _MIN_POINTS_A_CYCLE * span / count, span / _MIN_CYCLES
    if shortest >= longest:
        return None
    middle = (times[0] + times[-1]) / 2
    ones = _unit([1.0] * count)
    line = _unit(_without([t - middle for t in times], (ones,)))
    base = (ones, line)
    rest = _without(values, base)
    best, season = 0.0, None
    for step in range(_PERIODS):  # evenly spaced in frequency, which is what the span can resolve
        frequency = 1 / longest + (1 / shortest - 1 / longest) * step / (_PERIODS - 1)
        angles = [2 * pi * frequency * (t - middle) for t in times]
        wave = _unit(_without([sin(a) for a in angles], base))
        other = _unit(_without([cos(a) for a in angles], (*base, wave)))
        share_wave, share_other = _dot(wave, rest), _dot(other, rest)
        power = share_wave * share_wave + share_other * share_other
        if power > best:
            best = power
            season = [share_wave * a + share_other * b for a, b in zip(wave, other, strict=True)]
    if season is None or best < _EXPLAINED * _dot(rest, rest):
        return None
    rest = [value - part for value, part in zip(values, season, strict=True)]
    return rest, (max(season) - min(season)) / 2


def _dot(a: Sequence[float], b: Sequence[float]) -> float:
    return sum([x * y for x, y in zip(a, b, strict=True)])


def _unit(column: Column) -> Column:
    size = _dot(column, column) ** 0.5
    return [x / size for x in column] if size > 1e-12 else column


def _without(column: Sequence[float], basis: Sequence[Column]) -> Column:
    """Return the column minus its projection on an orthonormal basis."""
    out = list(column)
    for unit in basis:
        along = _dot(out, unit)
        out = [x - along * u for x, u in zip(out, unit, strict=True)]
    return out
