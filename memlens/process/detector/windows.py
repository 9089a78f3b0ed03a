"""Searches an envelope for a leak: in several windows, in a coarser floor, and without the season.

Windows are nested: a short window finds a leak that began last night, the longest one a slow leak.
The longest is examined first, because its slope has the narrowest interval.
"""

from __future__ import annotations

from bisect import bisect_left

from memlens.process.detector.envelope import Envelope, Floor, thinned
from memlens.process.detector.gates import MAX_POINTS, GateResult, Gates, judge
from memlens.process.detector.season import deseasoned
from memlens.process.detector.trend import hinge, trend

__all__ = ("dated", "examine", "rising")

COARSE_POINTS = 16
SEASON_SHARE = 0.5  # of amplitude / span: possible effect of a poorly fitted season on the slope
_CONCLUSIVE = ("settling", "still settling", "stopped")

Window = tuple[Floor, int]
"""A floor and the index at which the window begins."""


def examine(envelope: Envelope, min_span: float, gates: Gates) -> GateResult:
    """Return the first result that is a leak, or the result of the longest window."""
    windows = _windows(envelope, min_span)
    if not windows:
        return GateResult("too short")
    findings = []
    for floor, start in windows:
        finding = judge(floor, start, min_span, envelope, gates)
        if not finding.failed:
            return finding
        findings.append(finding)
    longest = findings[0]
    floor, start = windows[0]
    times, lows = floor[0][start:], floor[1][start:]
    if longest.failed not in _CONCLUSIVE:
        # Cycles as wide as the buckets make the floor ragged; wider buckets level it.
        finding = judge(thinned((times, lows), COARSE_POINTS), 0, min_span, envelope, gates)
        if not finding.failed:
            return finding
    finding = _without_season(thinned((times, lows), MAX_POINTS), envelope, min_span, gates)
    return longest if finding.failed else finding


def rising(envelope: Envelope, spans: tuple[float, ...], gates: Gates) -> GateResult:
    """Return the result for the latest, shorter windows, which are too short for an alert."""
    floor = envelope.recent()
    end = floor[0][-1]
    finding = GateResult("too short")
    for span in spans:
        finding = judge(floor, bisect_left(floor[0], end - span), span, envelope, gates)
        if not finding.failed:
            break
    return finding


def dated(finding: GateResult) -> GateResult:
    """Return the result for the part after the bend, if the floor was flat before it rose.

    A window that includes some hours before the onset has a slope that is too low. A hinge fitted
    to the points shows where the rise begins.
    """
    if finding.seasonal or finding.trend is None:
        return finding
    bend, share = hinge(finding.times, finding.lows)
    if share <= 0.5 or bend == 0 or len(finding.times) - bend < 8:
        return finding
    times, lows = finding.times[bend:], finding.lows[bend:]
    steeper = trend(times, lows)
    return finding._replace(trend=steeper, times=times, lows=lows) if steeper.low > 0 else finding


def _windows(envelope: Envelope, min_span: float) -> list[Window]:
    recent = envelope.recent()
    end = recent[0][-1]
    ring_span = end - recent[0][0]
    windows = []
    if envelope.buckets > len(recent[0]):
        history = envelope.history()
        span = end - history[0][0]
        for share in (1.0, 0.75, 0.5):
            if span * share > 1.1 * ring_span:
                windows.append((history, bisect_left(history[0], end - span * share)))
    if ring_span > 0.94 * min_span:
        windows.append((recent, 0))
    for factor in (2.0, 1.5, 1.0):
        if factor * min_span < 0.9 * ring_span:
            windows.append((recent, bisect_left(recent[0], end - factor * min_span)))
    return windows


def _without_season(floor: Floor, envelope: Envelope, min_span: float, gates: Gates) -> GateResult:
    times, lows = floor
    found = deseasoned(times, lows) if len(times) >= COARSE_POINTS else None
    if found is None:
        return GateResult("no season")
    rest, amplitude = found
    finding = judge((times, rest), 0, min_span, envelope, gates)
    if finding.failed or finding.trend is None:
        return finding
    # A poorly fitted season changes the slope: widen the interval accordingly.
    margin = SEASON_SHARE * amplitude / (times[-1] - times[0])
    slope = finding.trend
    if slope.low <= margin:
        return finding._replace(failed="season")
    widened = slope._replace(low=slope.low - margin, high=slope.high + margin)
    return finding._replace(trend=widened, seasonal=True)
