"""OpenAlerts: the reports that were given and still hold, and those that later ones contradict.

An early alert may turn out wrong: a cache was still being filled, a pool still grew. When two
analyses in succession do not find any of its holders again, and the trend that was its reason is
over, a report is withdrawn.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from memlens.leaks.leak_report import LeakReport

__all__ = ("OpenAlerts",)

_MAX_MISSES = 2  # analyses in succession that do not confirm any holder
_MAX_OPEN = 100
_MAX_HOLDERS = 1000
_MAX_WITHDRAWN = 20


class OpenAlerts:
    """Keeps a bounded number of reports. Not safe for concurrent use."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget all, as in a forked child."""
        self._misses: dict[int, int] = {}  # by the number of an open report
        self._open: dict[int, LeakReport] = {}
        self._known: set[str] = set()
        self._given = 0
        self._withdrawn: deque[LeakReport] = deque(maxlen=_MAX_WITHDRAWN)

    @property
    def withdrawn(self) -> tuple[LeakReport, ...]:
        """The reports that were withdrawn, oldest first: the last few."""
        return tuple(self._withdrawn)

    @property
    def has_trends(self) -> bool:
        """Whether a report is open whose reason was a trend."""
        return any(report.alert is not None for report in self._open.values())

    def has_news(self, report: LeakReport) -> bool:
        """Tell whether a report names a holder that no open one names."""
        return any(suspect.holder not in self._known for suspect in report)

    def add(self, report: LeakReport) -> None:
        """Add a report that is given now."""
        self._given += 1
        self._open[self._given] = report
        self._misses[self._given] = 0
        if len(self._known) < _MAX_HOLDERS:
            self._known.update(_holders(report))
        if len(self._open) > _MAX_OPEN:
            self._close(next(iter(self._open)))

    def confirm(self, later: LeakReport) -> None:
        """Count which open reports a later analysis confirms, and which it does not."""
        found = _holders(later)
        for number, report in self._open.items():
            confirmed = not found.isdisjoint(_holders(report))
            self._misses[number] = 0 if confirmed else self._misses[number] + 1

    def withdraw(self, *, is_leaking: bool) -> list[LeakReport]:
        """Close and return the reports that do not hold any more.

        ``is_leaking``: whether a trend still shows a leak; then no report for a trend is withdrawn.
        """
        over = [
            number
            for number, report in self._open.items()
            if (report.alert is None or not is_leaking)
            and (not report.suspects or self._misses[number] >= _MAX_MISSES)
        ]
        reports = [self._close(number) for number in over]
        self._withdrawn.extend(reports)
        return reports

    def _close(self, number: int) -> LeakReport:
        report = self._open.pop(number)
        del self._misses[number]
        others: Iterable[set[str]] = map(_holders, self._open.values())
        self._known.difference_update(_holders(report) - set().union(*others))
        return report


def _holders(report: LeakReport) -> set[str]:
    return {suspect.holder for suspect in report}
