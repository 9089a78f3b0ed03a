"""The verdict: one sentence that says whether memory leaks, what holds it, how long until the limit.

What is not known is not guessed: a rate from less than a minute, a leak from two snapshots. Without a
rate or a limit there is no word about the time until the limit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from memlens._text import format_bytes, format_change, format_count, format_duration
from memlens.allocations.profile.allocation_profile import AllocationProfile
from memlens.heap.snapshot import HeapSnapshot
from memlens.heap.views.visibility import shown_totals
from memlens.leaks.leak_report import LeakReport
from memlens.leaks.native_growth import native_text
from memlens.leaks.suspects import OVERDUE, LeakSuspect
from memlens.process.detector.alert import DetectorReport
from memlens.report.html.limits import Limits, cut_text

__all__ = ("Headroom", "verdict_of")

_HOUR_SECONDS = 3600.0
_YEAR_SECONDS = 365 * 24 * _HOUR_SECONDS
_MAX_HOLDER = 120  # characters of a name in the sentence
_FEW = "Two snapshots cannot distinguish a leak from one-time growth: run longer, or take more."
_TAKE_MORE = "One snapshot cannot show a leak: take at least three while the program works."
_CONFIDENCE = {
    "high": "Confidence is high: the suspects explain most of the growth over three intervals or more.",
    "medium": "Confidence is medium: there are few snapshots, or part of the growth is unexplained.",
    "low": "Confidence is low: there are too few snapshots.",
}


class Headroom(NamedTuple):
    """Resident memory now and its limit, in bytes."""

    rss_bytes: int
    limit_bytes: int


def verdict_of(
    leaks: LeakReport | None,
    *,
    detectors: Sequence[DetectorReport] = (),
    headroom: Headroom | None = None,
    withdrawn: Sequence[LeakReport] = (),
    snapshots: Sequence[HeapSnapshot] = (),
    allocations: AllocationProfile | None = None,
    limits: Limits | None = None,
) -> dict[str, Any]:
    """Return the verdict with its sentence and further ones."""
    width = (limits or Limits()).text
    if leaks is None:
        state, sentence, details = _without_leaks(detectors, snapshots, allocations)
        confidence = None
    else:
        state, confidence = leaks.verdict, leaks.confidence
        sentence = _sentence(leaks, detectors, headroom)
        details = list(_details(leaks))
    details += [f"Withdrawn, not confirmed later: {_subject(one)}." for one in withdrawn]
    return {
        "state": state,
        "confidence": confidence,
        "sentence": cut_text(sentence, 2 * width),
        "details": [cut_text(text, 4 * width) for text in details],
    }


# -- what can be said without a leak report --------------------------------------------------------


def _without_leaks(
    detectors: Sequence[DetectorReport],
    snapshots: Sequence[HeapSnapshot],
    allocations: AllocationProfile | None,
) -> tuple[str, str, list[str]]:
    for detector in detectors:
        if detector.verdict.is_leak:
            grown = _series_growth(detector)
            return (
                "unexplained growth",
                f"Memory grows: {grown}; what holds it is not known from fewer than two snapshots.",
                [],
            )
    if detectors:
        text = "Not known: a leak shows between snapshots, and fewer than two were taken."
        return "unknown", text, []
    if snapshots:
        shown = shown_totals(snapshots[-1].graph)
        text = (
            f"One snapshot: {format_count(shown.object_count)} objects with"
            f" {format_bytes(shown.total_bytes)}. {_TAKE_MORE}"
        )
        return "none", text, []
    if allocations is not None:
        total = allocations.total
        text = (
            f"Allocation profile: {format_bytes(total.live_bytes)} are still allocated of what was"
            f" allocated in {format_duration(allocations.facts.duration_seconds)}. A profile cannot"
            " show a leak: take at least three snapshots while the program works."
        )
        return "none", text, []
    return "none", "This report has no data about leaks: no snapshots were given.", []


def _series_growth(detector: DetectorReport) -> str:
    growth = round(detector.verdict.growth_bytes)
    if detector.series == "blocks":
        return f"{growth:+,} allocated blocks"
    name = "resident memory" if detector.series == "rss" else detector.series
    return f"{name} {format_change(growth)}"


# -- the sentence about a leak report --------------------------------------------------------------


def _sentence(
    leaks: LeakReport, detectors: Sequence[DetectorReport], headroom: Headroom | None
) -> str:
    span = f"{format_count(leaks.snapshot_count)} snapshots in {format_duration(leaks.seconds)}"
    if leaks.verdict == "leak":
        return _leak_sentence(leaks, detectors, headroom)
    if leaks.verdict == "unexplained growth":
        until = _until_limit(leaks, detectors, headroom)
        until = until.replace(" and reaches", "; memory reaches", 1)
        return f"Unexplained growth: {_unexplained(leaks)}, and no Python object holds it{until}."
    if leaks.verdict == "no leak":
        return f"No leak: no holder without a bound grew in every interval of {span}."
    if leaks.not_analysed:
        return f"Not known: the snapshots were not analysed, because {_lower(leaks.not_analysed)}."
    if leaks.undecided_bytes and leaks.snapshot_count > 2:
        return (
            f"Not known: objects grew by {format_bytes(leaks.undecided_bytes)} in {span}, which is too"
            " short to distinguish a leak from a program that loads its data."
        )
    return f"Not known: no holder grew, but there were only {span}."


def _leak_sentence(
    leaks: LeakReport, detectors: Sequence[DetectorReport], headroom: Headroom | None
) -> str:
    first, others = leaks.suspects[0], len(leaks.suspects) - 1
    head = "Possible leak" if leaks.confidence == "low" else "Leak"
    more = f" ({format_count(others)} more suspect{'s' if others > 1 else ''})" if others else ""
    until = _until_limit(leaks, detectors, headroom)
    return f"{head}: {_growth(first, leaks)}{more}{until}."


def _growth(suspect: LeakSuspect, leaks: LeakReport) -> str:
    holder = cut_text(suspect.holder, _MAX_HOLDER)
    if suspect.pattern == OVERDUE:
        count = format_count(suspect.count_growth)
        return f"{holder} keeps {count} objects alive that should be gone"
    if suspect.growth_bytes_per_hour is not None and leaks.seconds >= _HOUR_SECONDS / 60:
        return f"{holder} grows by {format_bytes(suspect.growth_bytes_per_hour)} an hour"
    elements = f" ({suspect.count_growth:+,} elements)" if suspect.count_growth else ""
    size = format_bytes(suspect.retained_growth_bytes)
    return f"{holder} grew by {size}{elements} in {format_duration(leaks.seconds)}"


def _unexplained(leaks: LeakReport) -> str:
    growth = leaks.unexplained
    if growth is None:
        return str(leaks.alert).partition("\n")[0] if leaks.alert else "memory grew"
    if growth.series == "blocks":
        return f"{growth.growth_bytes:+,} allocated blocks"
    names = {"malloc": "memory in use by malloc", "rss": "resident memory"}
    name = names.get(growth.series, f"{growth.series} memory")
    return f"{name} grew by {format_bytes(growth.growth_bytes)} in {format_duration(leaks.seconds)}"


# -- the time until the limit ----------------------------------------------------------------------


def _until_limit(
    leaks: LeakReport, detectors: Sequence[DetectorReport], headroom: Headroom | None
) -> str:
    """Return the end of the sentence: when the limit is reached, ``""`` if that is not known."""
    alert = leaks.alert
    if alert is not None and alert.seconds_to_limit is not None and alert.limit_bytes is not None:
        return _reaches(alert.seconds_to_limit, alert.limit_bytes)
    if headroom is None:
        return ""
    rate = _resident_rate(detectors) or _rate_of_suspects(leaks)
    if rate is None:
        return ""
    room = headroom.limit_bytes - headroom.rss_bytes
    return _reaches(max(0.0, room / rate * _HOUR_SECONDS), headroom.limit_bytes)


def _resident_rate(detectors: Iterable[DetectorReport]) -> float | None:
    """Return by how many bytes an hour resident memory grows for certain; None if it may not."""
    for detector in detectors:
        verdict = detector.verdict
        if detector.series == "rss" and verdict.is_leak and verdict.interval_bytes_per_hour:
            low, _ = verdict.interval_bytes_per_hour
            if low > 0 and verdict.slope_bytes_per_hour:
                return verdict.slope_bytes_per_hour
    return None


def _rate_of_suspects(leaks: LeakReport) -> float | None:
    """Return the rates of all suspects together; None where too few snapshots tell one."""
    if leaks.confidence == "low":
        return None
    rates = [suspect.growth_bytes_per_hour for suspect in leaks.suspects]
    total = sum(rate for rate in rates if rate is not None)
    return total if total > 0 else None


def _reaches(seconds: float, limit_bytes: float) -> str:
    limit = f"the limit of {format_bytes(limit_bytes)}"
    if seconds <= 0:
        return f"; {limit} is reached"
    if seconds > _YEAR_SECONDS:
        return f"; at this rate it does not reach {limit} within a year"
    return f" and reaches {limit} in about {format_duration(seconds)}"


# -- further sentences -----------------------------------------------------------------------------


def _details(leaks: LeakReport) -> Iterable[str]:
    if leaks.snapshot_count == 2:
        yield _FEW
    elif leaks.verdict == "leak":
        yield _CONFIDENCE[leaks.confidence]
    if leaks.alert is not None:
        yield f"Trend: {str(leaks.alert).partition(chr(10))[0]}."
    if leaks.unexplained is not None:
        yield str(leaks.unexplained)
    native = native_text(leaks.native_growth, leaks.native_incomplete)
    if native and leaks.native_growth:
        yield native
    if leaks.collector_note is not None:
        yield leaks.collector_note
    if leaks.bounded or leaks.pytest_records:
        known = [*leaks.bounded[:5], *([leaks.pytest_records] if leaks.pytest_records else [])]
        yield f"Not leaks: {'; '.join(map(str, known))}."
    if leaks.gone:
        yield f"Gone since the baseline: {'; '.join(map(str, leaks.gone[:5]))}."


def _subject(leaks: LeakReport) -> str:
    holders = ", ".join(suspect.holder for suspect in leaks)
    return holders or str(leaks.alert).partition("\n")[0]


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:].rstrip(".")
