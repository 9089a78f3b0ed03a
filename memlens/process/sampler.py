"""Readings of this process over time, in memory of a fixed size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from memlens._display import displayed
from memlens._fork import ForkSafeLock
from memlens._log import FailureLog
from memlens._options import check_boolean, check_callable, check_count, check_seconds
from memlens._own_thread import call_program
from memlens.errors import MemlensError, OptionError
from memlens.process.gc_pauses import new_gc_pauses
from memlens.process.reading import READING_COLUMNS, MemoryReading, prepare_readings
from memlens.process.sampling_thread import SamplingThread, process_thread
from memlens.structures.series import MultiSeries, SeriesReader

__all__ = ("MemorySampler", "SamplerHealth")

MIN_INTERVAL_SECONDS = 0.001


@displayed
@dataclass(frozen=True, slots=True)
class SamplerHealth:
    """The state of a sampler since it was created (in a forked child: since the fork).

    ``missed_ticks`` counts readings that were due but not taken, because the machine or a callback
    was busy. ``last_error`` is the text of the latest failure.
    """

    is_running: bool
    thread_alive: bool
    readings_taken: int
    reading_errors: int
    callback_errors: int
    missed_ticks: int
    last_error: str | None

    def __repr__(self) -> str:
        state = "running" if self.is_running else "stopped"
        return f"<SamplerHealth: {self.readings_taken:,} readings, {self.errors} errors, {state}>"

    @property
    def errors(self) -> int:
        """The total number of failures."""
        return self.reading_errors + self.callback_errors

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON-ready values."""
        return {**asdict(self), "errors": self.errors}


class MemorySampler:
    """Takes a reading of this process every ``sample_interval`` seconds while it runs.

    All samplers of the process share one daemon thread, ``memlens-sampler``; each gets readings at
    its own interval. `start` takes the first reading in the caller's thread. The newest
    ``max_readings`` are kept (256 bytes each, allocated by the constructor; the default covers
    twelve hours). A sampler can be started and stopped repeatedly; `stop` keeps its readings.

    ``uss`` and ``children`` request the numbers that cost more, see `memlens.process.read_memory`.

    In a forked child a running sampler continues without the readings of its parent. If one of its
    callbacks forked, it is stopped in the child. All samplers are stopped when the process exits.

    >>> with MemorySampler(sample_interval=60.0) as sampler:
    ...     pass
    >>> sampler.latest.rss_bytes > 0
    True

    Raises:
        OptionError: ``sample_interval`` is below a millisecond or not a finite number, or
            ``max_readings`` is below 1.
    """

    def __init__(
        self,
        *,
        sample_interval: float = 10.0,
        max_readings: int = 4320,
        uss: bool = False,
        children: bool = False,
        sampling: SamplingThread | None = None,
    ) -> None:
        self.sample_interval = check_seconds(
            "sample_interval", sample_interval, MIN_INTERVAL_SECONDS
        )
        check_count("max_readings", max_readings)
        self.uss = check_boolean("uss", uss)
        self.children = check_boolean("children", children)
        self.pauses = new_gc_pauses()
        prepare_readings()
        self._sampling = process_thread() if sampling is None else sampling
        self._series = MultiSeries(READING_COLUMNS, max_readings)
        self._callbacks: tuple[Callable[[MemoryReading], object], ...] = ()
        self._lock = ForkSafeLock()  # the caller of start() and the sampling thread both deliver
        self._is_storing = False
        self._failures = FailureLog()
        self._clear_counts()

    def start(self) -> None:
        """Take the first reading and continue in the background. Does nothing if running."""
        self._sampling.subscribe(self)

    def stop(self) -> None:
        """Stop taking readings. Does nothing if the sampler is not running.

        The last sampler to stop ends the thread, which is woken at once. Waits up to 5 seconds for
        a callback that is still running.
        """
        self._sampling.unsubscribe(self)

    def __enter__(self) -> MemorySampler:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        state = "running" if self.is_running else "stopped"
        return (
            f"<MemorySampler: every {self.sample_interval:g} s, {self._readings_taken} readings,"
            f" {state}>"
        )

    @property
    def is_running(self) -> bool:
        """Whether the sampler is running."""
        return self._sampling.has(self)

    @property
    def latest(self) -> MemoryReading | None:
        """The newest reading, or None if there is none."""
        row = self._series.latest
        return MemoryReading.from_row(row[1]) if row else None

    def readings(self) -> list[MemoryReading]:
        """Return the kept readings, oldest first."""
        return [MemoryReading.from_row(row) for _, row in self._series]

    def series(self, name: str) -> SeriesReader:
        """Return a live view of one number over time, such as ``rss_bytes``.

        Timestamps are monotonic seconds; the series ``timestamp`` holds the wall-clock times. A
        value is NaN if the reading had None.

        Raises:
            OptionError: readings have no number of this name; see `READING_COLUMNS`.
        """
        try:
            return self._series[name]
        except KeyError:
            names = ", ".join(READING_COLUMNS)
            raise OptionError(f"there is no series {name!r}; choose one of {names}") from None

    def subscribe(self, callback: Callable[[MemoryReading], object]) -> None:
        """Call ``callback(reading)`` for each reading from now on. Does nothing if subscribed.

        The callback runs in the sampler thread (for the first reading, in the thread that calls
        `start`), so no sampler takes readings meanwhile. Its exceptions are counted, and the first
        one is logged.
        """
        check_callable("callback", callback)
        with self._lock:
            if callback not in self._callbacks:
                self._callbacks = (*self._callbacks, callback)

    def unsubscribe(self, callback: Callable[[MemoryReading], object]) -> None:
        """Stop calling ``callback``. Does nothing if it is not subscribed."""
        with self._lock:
            self._callbacks = tuple(known for known in self._callbacks if known != callback)

    def health(self) -> SamplerHealth:
        """Return the state of the sampler: counters and the latest failure."""
        return SamplerHealth(
            is_running=self.is_running,
            thread_alive=self._sampling.is_alive,
            readings_taken=self._readings_taken,
            reading_errors=self._reading_errors,
            callback_errors=self._callback_errors,
            missed_ticks=self._missed_ticks,
            last_error=self._failures.last_error,
        )

    def receive(self, reading: MemoryReading, missed: int) -> None:
        """Store a reading and pass it to the callbacks. Called by the sampling thread."""
        pauses = self.pauses
        reading = reading.with_gc_pauses(pauses.count, pauses.total_seconds, pauses.longest_seconds)
        with self._lock:
            self._missed_ticks += missed
            if self._is_storing:  # a signal handler has interrupted the lines below
                self._missed_ticks += 1
            else:
                self._is_storing = True
                try:
                    self._store(reading)
                finally:
                    self._is_storing = False
            callbacks = self._callbacks
        for callback in callbacks:
            try:
                call_program(callback, reading)
            except Exception as error:  # noqa: BLE001 - a failing callback must not end sampling
                self._callback_errors += 1
                self._failures.note("a callback of the memory sampler failed", error)

    def _store(self, reading: MemoryReading) -> None:
        newest = self._series.latest
        # Two concurrent deliveries may arrive in either order; the series must stay ordered.
        if newest is None or newest[0] <= reading.monotonic_seconds:
            self._series.add(reading.monotonic_seconds, reading.to_row())
            self._readings_taken += 1

    def fail(self, error: BaseException) -> None:
        """Count a reading that could not be taken. Called by the sampling thread."""
        self._reading_errors += 1
        is_expected = isinstance(error, (MemlensError, MemoryError))
        self._failures.note(
            "the memory sampler could not take or deliver a reading",
            error,
            with_traceback=not is_expected,
        )

    def forget_parent(self) -> None:
        """Drop the readings and counters of the parent process. Called in a forked child."""
        self._is_storing = False
        self._series.clear()
        self.pauses.clear()
        self._clear_counts()

    def _clear_counts(self) -> None:
        self._readings_taken = 0
        self._reading_errors = 0
        self._callback_errors = 0
        self._missed_ticks = 0
        self._failures.clear()
