"""Turns readings with any timestamps into the buckets of an envelope.

This part of the leak detector runs for every reading and does not know about leaks. It handles
clocks that stop, jump, run backwards or are missing, so that the later parts need not.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf, isfinite

from memlens._options import check_number
from memlens.process.detector.alert import Verdict
from memlens.process.detector.envelope import RECENT_BUCKETS, Envelope

__all__ = ("Intake",)

WINDOW_BUCKETS = 48  # in the minimum window
ITERATION_WARMUP, ITERATION_WINDOW = 16, 42  # the tests have passed at the 64th reading
GAP_BUCKETS, GAP_INTERVALS = 4, 10


class Intake:
    """Collects readings into buckets; calls ``_bucket_added`` after each complete bucket.

    The internal clock ignores jumps of the caller's clock. Adding ``_shift`` to an internal instant
    gives the instant on the caller's clock.
    """

    __slots__ = (
        "_backward",
        "_bucket_end",
        "_by_iterations",
        "_clock",
        "_envelope",
        "_first_time",
        "_first_value",
        "_gap_at",
        "_gap_length",
        "_gaps",
        "_high",
        "_in_bucket",
        "_interval",
        "_last_time",
        "_last_value",
        "_low",
        "_low_time",
        "_readings",
        "_rejected",
        "_sample_interval",
        "_shift",
        "_verdict",
        "_warm_until",
        "_warmup",
        "_width",
        "_window",
        "_window_size",
    )

    def __init__(
        self,
        sample_interval: float,
        window_size: int | None,
        warmup_seconds: float,
        min_window_seconds: float,
        clock: Callable[[], float] | None,
    ) -> None:
        self._sample_interval = sample_interval
        self._window_size = window_size
        self._warmup = warmup_seconds
        self._window = min_window_seconds if window_size is None else window_size * sample_interval
        self._width = max(self._window / WINDOW_BUCKETS, sample_interval)
        self._clock = clock
        self._envelope = Envelope()
        self._rejected = self._backward = self._gaps = 0
        self._restart()

    def _restart(self) -> None:
        self._envelope.clear()
        self._verdict = Verdict("warming", reason="warming up")
        self._by_iterations = False
        self._readings = self._in_bucket = 0
        self._first_time = self._last_time = self._bucket_end = -inf
        self._first_value = self._last_value = 0.0
        self._low = self._high = self._low_time = 0.0
        self._shift = self._gap_at = self._gap_length = 0.0
        self._interval = self._sample_interval
        self._warm_until = inf

    def _bucket_added(self) -> None:
        """Handle a new bucket in the envelope."""

    @property
    def verdict(self) -> Verdict:
        """The current verdict."""
        return self._verdict

    def observe(self, value_bytes: float, timestamp: float | None = None) -> Verdict:
        """Add a reading of ``value_bytes`` at ``timestamp`` (seconds) and return the verdict.

        The verdict changes only when a test is due, every twelfth of the minimum window. Raises
        ``OptionError`` for a value or a timestamp that is not a number.
        """
        if timestamp is None:
            timestamp = self._own_time()
        try:
            if self._last_time <= timestamp < self._bucket_end and 0.0 <= value_bytes < inf:
                self._last_time = timestamp
                self._last_value = value_bytes
                self._in_bucket += 1
                if value_bytes < self._low:
                    self._low = value_bytes
                    self._low_time = timestamp
                elif value_bytes > self._high:
                    self._high = value_bytes
                return self._verdict
        except TypeError:  # checked only here: this is the hot path
            _check_types(value_bytes, timestamp)
            raise
        return self._observe_edge(value_bytes, timestamp)

    def _own_time(self) -> float:
        if self._clock is not None:
            return self._clock()
        if self._first_time == -inf:
            self._count_iterations()
        if self._by_iterations:
            return float(self._readings + self._in_bucket + 1)
        return self._last_time + self._sample_interval

    def _count_iterations(self) -> None:
        """Switch to counting: the n-th reading is at instant n."""
        size = self._window_size or ITERATION_WINDOW
        self._by_iterations = True
        self._interval = 1.0
        self._window = float(size)
        self._width = 1.0 if size < RECENT_BUCKETS else size / WINDOW_BUCKETS
        self._warmup = float(size // 3 if self._window_size else ITERATION_WARMUP)

    def _observe_edge(self, value: float, timestamp: float) -> Verdict:
        """Add a reading that is the first, begins a bucket, is out of order, or is invalid."""
        _check_types(value, timestamp)
        if not (0.0 <= value < inf and isfinite(timestamp)):
            self._rejected += 1
            return self._verdict
        if self._first_time == -inf:
            self._begin(value, timestamp)
        elif timestamp < self._last_time:
            self._backward += 1
            if self._last_time - timestamp <= GAP_INTERVALS * self._interval:
                return self.observe(value, self._last_time)
            self._close_bucket()
            self._jump(timestamp)
        else:
            elapsed = timestamp - self._last_time
            self._close_bucket()
            if elapsed > max(GAP_BUCKETS * self._width, GAP_INTERVALS * self._interval):
                self._gaps += 1
                self._jump(timestamp)
            if (
                self._in_bucket == 0
            ):  # one reading per bucket: estimate the interval between readings
                self._interval += (elapsed - self._interval) / 2
        self._open_bucket(value, timestamp)
        return self._verdict

    def _begin(self, value: float, timestamp: float) -> None:
        self._first_time, self._first_value = timestamp, value
        self._warm_until = timestamp + self._warmup
        self._envelope.began = timestamp

    def _jump(self, timestamp: float) -> None:
        """Advance the internal clock by one interval while the caller's jumps to ``timestamp``."""
        before = self._last_time - self._shift
        jump = timestamp - self._last_time - self._interval
        self._shift += jump
        self._gap_at, self._gap_length = before, jump

    def _open_bucket(self, value: float, timestamp: float) -> None:
        # Slightly early, so that readings exactly one width apart do not share a bucket.
        self._bucket_end = timestamp + self._width * (1 - 1e-9)
        self._last_time = self._low_time = timestamp
        self._last_value = self._low = self._high = value
        self._in_bucket = 0
        self._readings += 1

    def _close_bucket(self) -> None:
        if self._in_bucket:
            opened = self._bucket_end - self._width
            self._interval = (self._last_time - opened) / self._in_bucket or self._interval
            self._readings += self._in_bucket
        time = self._low_time - self._shift
        if self._bucket_end - self._width - self._shift < self._warm_until - 1e-6 * self._width:
            return
        self._envelope.add(time, self._low, self._high)
        self._bucket_added()

    def _callers_time(self, time: float) -> float:
        return time + self._shift - (self._gap_length if time <= self._gap_at else 0.0)


def _check_types(value: object, timestamp: object) -> None:
    """Raise ``OptionError`` unless both are numbers; NaN and infinity are rejected later."""
    for name, number in (("value_bytes", value), ("timestamp", timestamp)):
        if number == number:  # not NaN
            check_number(name, number, allow_infinity=True)
