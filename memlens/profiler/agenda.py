"""Agenda: which work is due with a reading, and when it is due again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

from memlens._options import check_callable, check_seconds
from memlens.lifetimes.expectations import OF_PROCESS as EXPECTED
from memlens.process.detector.alert import LeakAlert
from memlens.profiler.trend_detectors import TrendDetectors

__all__ = ("Agenda", "Work")

_FIRST_INTERVAL_SECONDS = 10.0
_MAX_INTERVAL_SECONDS = 3600.0
_TOLERANCE = 0.1  # of the time between two readings, for a snapshot that is due with one of them


class Work(NamedTuple):
    """What is to be done. ``alert``: that of a detector, for the kinds ``steep`` and ``alert``."""

    kind: Literal["steep", "alert", "overdue", "periodic", "withdraw"]
    alert: LeakAlert | None = None


class Agenda:
    """Says what is due. Times are those of ``clock``, in seconds.

    ``snapshot_interval``: seconds between periodic snapshots, or a function that receives how many
    there were; None: 10 seconds, then twice as long each time, up to an hour. ``alert_interval``: the
    least time between two alerts of one kind, and between two searches for late objects.
    """

    def __init__(
        self,
        snapshot_interval: float | Callable[[int], float] | None,
        alert_interval: float,
        clock: Callable[[], float],
    ) -> None:
        check_seconds("alert_interval", alert_interval, 0, allow_infinity=True)
        check_callable("clock", clock)
        self._interval = _stretching if snapshot_interval is None else snapshot_interval
        self._alert_interval = alert_interval
        self._clock = clock
        self._tolerance_seconds = 0.0
        self.reset()

    def reset(self) -> None:
        """Forget what was done: everything is due now."""
        self._next_snapshot = self._next_alert = self._next_steep = self._next_overdue = 0.0
        self._periodic_count = 0

    def allow_for(self, sample_interval: float) -> None:
        """Note the seconds between readings.

        Readings do not come to the microsecond: without some tolerance, every snapshot whose
        interval is that of the readings would wait for another one.
        """
        self._tolerance_seconds = _TOLERANCE * sample_interval

    def schedule_snapshot(self) -> None:
        """Schedule the next periodic snapshot: with the reading that comes at that time."""
        seconds = self.seconds_to_snapshot()
        self._next_snapshot = self._clock() + seconds - self._tolerance_seconds

    def seconds_to_snapshot(self) -> float:
        """Return the seconds between the last periodic snapshot and the next one.

        Raises ``OptionError`` if the function of the program returns anything else.
        """
        interval = self._interval
        seconds = interval(self._periodic_count) if callable(interval) else interval
        return check_seconds("snapshot_interval", seconds, allow_infinity=True)

    def next_work(self, detectors: TrendDetectors, *, has_open_trends: bool) -> Work | None:
        """Return what is due now, which is then noted as done, or None.

        ``has_open_trends``: whether an alert of a trend is not withdrawn.
        """
        now = self._clock()
        steep = detectors.steep_alert
        if steep is not None and now >= self._next_steep:
            self._next_steep = now + self._alert_interval
            return Work("steep", steep)
        if detectors.has_alert and now >= self._next_alert:
            self._next_alert = now + self._alert_interval
            return Work("alert", detectors.take_alert())
        if now >= self._next_overdue and EXPECTED.has_new_overdue:
            self._next_overdue = now + self._alert_interval  # the search captures the heap
            return Work("overdue")
        if now >= self._next_snapshot:
            self._periodic_count += 1
            self.schedule_snapshot()
            return Work("periodic")
        if has_open_trends and not detectors.is_leaking:
            return Work("withdraw")
        return None


def _stretching(count: int) -> float:
    """Return 10 seconds to the first periodic snapshot, twice as many to each further one."""
    return min(_FIRST_INTERVAL_SECONDS * 2.0 ** min(count, 20), _MAX_INTERVAL_SECONDS)
