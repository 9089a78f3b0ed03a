"""What the screen shows, without the screen: readings, their trend, and the newest analysis."""

from __future__ import annotations

import math
from dataclasses import dataclass

from memlens._frame import CallPath
from memlens._text import format_bytes, format_change, format_duration
from memlens.heap.graph.allocation_sites import SiteShare
from memlens.leaks.leak_report import LeakReport
from memlens.leaks.suspects import LeakSuspect
from memlens.process.detector.trend import trend
from memlens.watch.source import Reading, SourceState

__all__ = ("SiteGrowth", "WatchModel")

_MAX_READINGS = 600  # older ones are thinned out
_MAX_POINTS = 100  # for the trend, whose cost is quadratic
_MIN_POINTS = 8
_MIN_SECONDS = 5.0
_MIN_SNAPSHOTS = 3  # fewer cannot distinguish a leak from one-time growth
_MAX_ANALYSED = 16
_CHART_STEP = 0.005  # of the highest reading


@dataclass(frozen=True, slots=True)
class SiteGrowth:
    """What holders have gained that was allocated at one call path; estimated from samples."""

    call_path: CallPath
    growth_bytes: float
    holder: str


class WatchModel:
    """Takes the states of a source and reports of analyses; answers what there is to show."""

    def __init__(self) -> None:
        self.readings: list[Reading] = []
        self.files: tuple[str, ...] = ()
        self.is_ended = False
        self.program_ended_at: float | None = None
        self.note = ""
        self.report: LeakReport | None = None
        self.failure = ""  # why the last analysis has no result
        self.analysed: tuple[str, ...] = ()
        self.reported: tuple[str, ...] = ()  # the files of the report

    # -- input -----------------------------------------------------------------------------------

    def observe(self, state: SourceState) -> None:
        """Take the next state of the source."""
        self.readings += state.readings
        self.program_ended_at = end = state.program_ended_at
        if end is not None:  # what came after it is memory of the analysis
            self.readings = [reading for reading in self.readings if reading.timestamp <= end]
        if len(self.readings) > _MAX_READINGS:
            half = len(self.readings) // 2
            self.readings = self.readings[:half:2] + self.readings[half:]
        self.files, self.is_ended, self.note = state.files, state.is_ended, state.note

    def files_to_analyse(self) -> tuple[str, ...]:
        """Return the files for the next analysis; empty if there is nothing new or too little.

        The first is the baseline, the last is the newest; of many, those between are thinned out.
        """
        if len(self.files) < _MIN_SNAPSHOTS:
            return ()
        chosen = self.files
        if len(chosen) > _MAX_ANALYSED:
            step = (len(chosen) - 1) / (_MAX_ANALYSED - 1)
            chosen = tuple(chosen[round(i * step)] for i in range(_MAX_ANALYSED))
        return () if chosen == self.analysed else chosen

    def note_analysis(
        self, files: tuple[str, ...], report: LeakReport | None, failure: str
    ) -> None:
        """Take the result of an analysis; a failure keeps the report of the one before."""
        self.analysed = files
        self.failure = "" if report is not None else failure
        if report is not None:
            self.report, self.reported = report, files

    # -- output ----------------------------------------------------------------------------------

    @property
    def last(self) -> Reading | None:
        """The newest reading."""
        return self.readings[-1] if self.readings else None

    @property
    def has_program_ended(self) -> bool:
        """Whether the program has ended, though its snapshots may still be analysed."""
        return self.is_ended or self.program_ended_at is not None

    def memory_text(self) -> str:
        """Return the newest reading and the change since the first one, in one line."""
        last = self.last
        if last is None:
            return "no readings"
        first = self.readings[0]
        parts = [f"RSS {format_bytes(last.rss_bytes)}"]
        if len(self.readings) > 1:
            seconds = last.timestamp - first.timestamp
            change = format_change(last.rss_bytes - first.rss_bytes)
            parts[0] += f" ({change} in {format_duration(seconds)})"
        if last.uss_bytes is not None:
            parts.append(f"USS {format_bytes(last.uss_bytes)}")
        if last.limit_bytes is not None:
            percent = 100 * last.rss_bytes / last.limit_bytes
            used = f"{percent:.0f} %" if percent >= 1 else "under 1 %"
            parts.append(f"limit {format_bytes(last.limit_bytes)} ({used} used)")
        return ", ".join(parts)

    def chart(self, limit: int) -> list[float]:
        """Return resident memory above its lowest value, in steps: noise draws no steep curve."""
        sizes = [reading.rss_bytes for reading in self.readings[-limit:]]
        step = max(1.0, max(sizes, default=0) * _CHART_STEP)
        low = min(sizes, default=0)
        return [float((size - low) // step) for size in sizes]

    def trend_text(self) -> str:
        """Return the trend of the readings and the time until the limit, in one line.

        The slope is that of Theil and Sen; a trend is stated only if its 99.9 % interval excludes
        zero.
        """
        points = self._points()
        if len(points) < _MIN_POINTS or points[-1].timestamp - points[0].timestamp < _MIN_SECONDS:
            return "trend: more readings are needed"
        times = [point.timestamp for point in points]
        found = trend(times, [float(point.rss_bytes) for point in points])
        if not math.isfinite(found.low) or not math.isfinite(found.high):
            return "trend: more readings are needed"  # for an interval
        if found.low <= 0 <= found.high:
            return f"trend: none in {format_duration(times[-1] - times[0])}"
        slope = f"{format_change(found.slope * 60)} a minute"
        text = f"trend: {'rising' if found.slope > 0 else 'falling'}, {slope}"
        last = points[-1]
        if self.has_program_ended:
            text += " until the end"
        elif found.slope > 0 and last.limit_bytes is not None:
            left = max(0, last.limit_bytes - last.rss_bytes) / found.slope
            text += f", at this rate {format_duration(left)} to the limit"
        return text

    def _points(self) -> list[Reading]:
        step = max(1, -(-len(self.readings) // _MAX_POINTS))
        return self.readings[::-step][::-1]

    def verdict_text(self) -> str:
        """Return what the newest analysis says, in one sentence."""
        if self.failure:
            return f"not analysed: {self.failure}"
        report = self.report
        if report is None:
            return self._no_report_text()
        over = f"{report.snapshot_count} snapshots over {format_duration(report.seconds)}"
        if report.suspects:
            first = report.suspects[0]
            more = f", and {len(report) - 1} more" if len(report) > 1 else ""
            return f"Leak, confidence {report.confidence}: {first.holder}{more} ({over})"
        if report.verdict == "unexplained growth":
            return f"Growth without a known holder, confidence {report.confidence} ({over})"
        if report.verdict == "unknown":
            return f"Not known yet: growth is too short to tell a leak from a start ({over})"
        return f"No leak, confidence {report.confidence} ({over})"

    def _no_report_text(self) -> str:
        if len(self.files) >= _MIN_SNAPSHOTS:
            return f"analysing {len(self.files)} snapshots ..."
        if not self.files:
            return "no snapshots: holders are not known"
        if self.is_ended:
            return f"{len(self.files)} snapshots: {_MIN_SNAPSHOTS} are needed to name a holder"
        return f"{len(self.files)} of {_MIN_SNAPSHOTS} snapshots that are needed to name a holder"

    def suspects(self, text: str = "") -> list[LeakSuspect]:
        """Return the suspects whose holder, types, pattern or path contain ``text``, best first."""
        wanted = text.casefold()
        return [s for s in self.report or () if wanted in _searched(s).casefold()]

    def sites(self, text: str = "") -> list[SiteGrowth]:
        """Return where holders' gains were allocated, most bytes first, of the suspects found."""
        found: dict[CallPath, SiteGrowth] = {}
        for suspect in self.suspects(text):
            for share in suspect.sites:
                before = found.get(share.call_path)
                grown = share.shallow_bytes + (before.growth_bytes if before else 0.0)
                holder = before.holder if before else suspect.holder
                found[share.call_path] = SiteGrowth(share.call_path, grown, holder)
        return sorted(found.values(), key=lambda site: -site.growth_bytes)


def _searched(suspect: LeakSuspect) -> str:
    words = [suspect.holder, suspect.holder_type, str(suspect.path), suspect.pattern or ""]
    return "\n".join([*words, *suspect.growing_types, *map(SiteShare.path_text, suspect.sites)])
