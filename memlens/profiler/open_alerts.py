"""OpenAlerts: the reports that were given and still hold, and those that turned out wrong.

An early alert may be wrong: a cache was still being filled, a pool still grew. A report is withdrawn
when, over as long a time as it covered, none of its holders has grown since; where it has no holder,
when the trend that was its reason is over. That no later analysis confirms a holder is not enough:
a slow leak may not show in every one.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass

from memlens.leaks.leak_report import LeakReport

__all__ = ("OpenAlert", "OpenAlerts")

_MAX_OPEN = 100
_MAX_WITHDRAWN = 20
_NUMBER_OF = re.compile(r"^\d+ × ")  # of the containers of a place, which changes


@dataclass(slots=True)
class OpenAlert:
    """A report that was given, and since when it is to be tested (wall-clock seconds).

    ``is_refuted``: none of its holders has grown for as long as the report covered.
    """

    report: LeakReport
    since: float
    is_refuted: bool = False


class OpenAlerts:
    """Keeps a bounded number of reports. Not safe for concurrent use."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget all, as in a forked child."""
        self._open: deque[OpenAlert] = deque(maxlen=_MAX_OPEN)
        self._withdrawn: deque[LeakReport] = deque(maxlen=_MAX_WITHDRAWN)

    @property
    def withdrawn(self) -> tuple[LeakReport, ...]:
        """The reports that were withdrawn, oldest first: the last few."""
        return tuple(self._withdrawn)

    @property
    def has_trends(self) -> bool:
        """Whether a report is open whose reason was a trend."""
        return any(one.report.alert is not None for one in list(self._open))

    def has_news(self, report: LeakReport) -> bool:
        """Tell whether a report names a holder that no open one names."""
        known = set().union(*(_holders(one.report) for one in self._open))
        return not _holders(report) <= known

    def add(self, report: LeakReport, now: float) -> None:
        """Add a report that is given now."""
        self._open.append(OpenAlert(report, now))

    def to_test(self, now: float) -> list[OpenAlert]:
        """Return the reports with holders that were given, or confirmed, long enough ago."""
        return [
            one
            for one in self._open
            if one.report.suspects and not one.is_refuted and now - one.since >= one.report.seconds
        ]

    def test(self, alert: OpenAlert, growth: LeakReport, now: float) -> None:
        """Confirm or refute a report by what has grown since it was given or confirmed."""
        alert.is_refuted = _holders(growth).isdisjoint(_holders(alert.report))
        alert.since = now

    def withdraw(self, *, is_leaking: bool) -> list[LeakReport]:
        """Close and return the reports that do not hold any more.

        ``is_leaking``: whether a trend still shows a leak; then no report for a trend is withdrawn.
        """
        over = [
            one
            for one in self._open
            if (one.is_refuted or not one.report.suspects)
            and (one.report.alert is None or not is_leaking)
        ]
        for one in over:
            self._open.remove(one)
            self._withdrawn.append(one.report)
        return [one.report for one in over]


def _holders(report: LeakReport) -> set[str]:
    return {_NUMBER_OF.sub("", suspect.holder) for suspect in report}
