"""Readings of this process over time, in memory that is fixed from the start."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any

from memlens.errors import OptionError
from memlens.process.gc_pauses import new_gc_pauses
from memlens.process.reading import READING_COLUMNS, MemoryReading
from memlens.process.sampling_thread import SamplingThread, process_thread
from memlens.structures.series import MultiSeries, SeriesReader

__all__ = ("MemorySampler", "SamplerHealth")

SHORTEST_INTERVAL_SECONDS = 0.001


@dataclass(frozen=True, slots=True)
class SamplerHealth:
    """How a sampler itself is doing, since it was made (in a forked child: since the fork).

    ``missed_ticks`` are readings that were due but not taken, because the machine or a callback was
    busy. ``last_error`` is the text of the latest failure.
    """

    is_running: bool
    thread_alive: bool
    readings_taken: int
    reading_errors: int
    callback_errors: int
    missed_ticks: int
    last_error: str | None

    @property
    def errors(self) -> int:
        """All failures together."""
        return self.reading_errors + self.callback_errors

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON can hold them."""
        return {**asdict(self), "errors": self.errors}


class MemorySampler:
    """Takes a reading of this process every ``sample_interval`` seconds while it runs.

    All samplers of the process share one daemon thread, by subscription; each gets readings at its
    own interval. The first is taken by `start` itself, in the caller's thread. The newest
    ``max_readings`` are kept (256 bytes each, allocated at the start; the default is twelve hours'
    worth). Starting and stopping can be repeated, and readings stay after `stop`.

    ``uss`` and ``children`` ask for what costs more, as in `memlens.process.read_memory`.

    In a forked child a running sampler goes on, with no readings of its parent's, unless the fork
    was made in one of its callbacks; then it is stopped there. At exit all samplers are stopped.

    >>> with MemorySampler(sample_interval=60.0) as sampler:
    ...     pass
    >>> sampler.latest.rss_bytes > 0
    True

    Raises:
        OptionError: an interval below a millisecond or not finite, or ``max_readings`` below 1.
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
        _check_options(sample_interval, max_readings)
        self.sample_interval = sample_interval
        self.uss = uss
        self.children = children
        self.pauses = new_gc_pauses()
        self._sampling = process_thread() if sampling is None else sampling
        self._series = MultiSeries(READING_COLUMNS, max_readings)
        self._callbacks: tuple[Callable[[MemoryReading], object], ...] = ()
        # Two threads deliver: the caller of start() and the sampling thread. Reentrant: a finalizer
        # that subscribes may run anywhere.
        self._lock = threading.RLock()
        self._clear_counts()

    def start(self) -> None:
        """Take the first reading and go on in the background; nothing if it runs already."""
        self._sampling.subscribe(self)

    def stop(self) -> None:
        """Take no more readings; nothing if it does not run.

        The last sampler to stop ends the thread: it is woken at once, and a callback that is still
        at work is waited for, 5 seconds at most.
        """
        self._sampling.unsubscribe(self)

    def __enter__(self) -> MemorySampler:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    @property
    def is_running(self) -> bool:
        """Whether it is started."""
        return self._sampling.has(self)

    @property
    def latest(self) -> MemoryReading | None:
        """The newest reading, or None."""
        row = self._series.latest
        return MemoryReading.from_row(row[1]) if row else None

    def readings(self) -> list[MemoryReading]:
        """Return the readings kept, oldest first."""
        return [MemoryReading.from_row(row) for _, row in self._series]

    def series(self, name: str) -> SeriesReader:
        """Return one number over time, live, such as ``rss_bytes`` or ``gc_collections_2``.

        Its timestamps are monotonic seconds; the series ``timestamp`` has the wall clock's. NaN
        where the reading had None.

        Raises:
            OptionError: a reading has no such number; the names are `READING_COLUMNS`.
        """
        try:
            return self._series[name]
        except KeyError:
            names = ", ".join(READING_COLUMNS)
            raise OptionError(f"there is no series {name!r}; choose one of {names}") from None

    def subscribe(self, callback: Callable[[MemoryReading], object]) -> None:
        """Call it with each reading from now on; again for a known one changes nothing.

        It runs in the sampling thread (for the first reading, in that of `start`), so while it
        works nobody's readings are taken. What it raises is counted, and logged the first time.
        """
        with self._lock:
            if callback not in self._callbacks:
                self._callbacks = (*self._callbacks, callback)

    def unsubscribe(self, callback: Callable[[MemoryReading], object]) -> None:
        """Call it no more; nothing if it is not known."""
        with self._lock:
            self._callbacks = tuple(known for known in self._callbacks if known != callback)

    def health(self) -> SamplerHealth:
        """Return how the sampler itself is doing."""
        return SamplerHealth(
            is_running=self.is_running,
            thread_alive=self._sampling.alive,
            readings_taken=self._readings_taken,
            reading_errors=self._reading_errors,
            callback_errors=self._callback_errors,
            missed_ticks=self._missed_ticks,
            last_error=self._last_error,
        )

    def receive(self, reading: MemoryReading, missed: int) -> None:
        """Keep a reading and hand it on: called by the sampling thread."""
        pauses = self.pauses
        reading = reading.with_gc_pauses(pauses.count, pauses.total_seconds, pauses.longest_seconds)
        with self._lock:
            self._missed_ticks += missed
            newest = self._series.latest
            # Two deliveries at once may arrive in either order; time does not go back.
            if newest is None or newest[0] <= reading.monotonic_seconds:
                self._series.add(reading.monotonic_seconds, reading.to_row())
                self._readings_taken += 1
            callbacks = self._callbacks
        for callback in callbacks:
            try:
                callback(reading)
            except Exception as error:  # noqa: BLE001 - the callback's failure is not the program's
                self._callback_errors += 1
                self._note(error, "a callback of the memory sampler failed")

    def fail(self, error: BaseException) -> None:
        """Count a reading that could not be taken: called by the sampling thread."""
        self._reading_errors += 1
        self._note(error, "the memory sampler could not take or deliver a reading")

    def begin_anew(self) -> None:
        """Forget what the parent process measured: called in a forked child."""
        self._lock = threading.RLock()  # the parent's thread may have held the old one
        self._series.clear()
        self.pauses.clear()
        self._clear_counts()

    def _clear_counts(self) -> None:
        self._readings_taken = 0
        self._reading_errors = 0
        self._callback_errors = 0
        self._missed_ticks = 0
        self._last_error: str | None = None
        self._logged: frozenset[str] = frozenset()

    def _note(self, error: BaseException, what: str) -> None:
        """Keep the error's text, never the error: its traceback would hold frames alive."""
        try:
            self._last_error = f"{type(error).__name__}: {error}"[:500]
            if what not in self._logged:
                self._logged |= {what}
                import logging

                logging.getLogger("memlens").warning(
                    "%s; further failures are only counted", what, exc_info=error
                )
        except Exception:  # noqa: BLE001 - a message or a log handler that fails: it is counted
            self._last_error = type(error).__name__


def _check_options(sample_interval: float, max_readings: int) -> None:
    is_number = isinstance(sample_interval, (int, float)) and isfinite(sample_interval)
    if not is_number or sample_interval < SHORTEST_INTERVAL_SECONDS:
        raise OptionError(
            f"sample_interval must be a number of seconds, at least {SHORTEST_INTERVAL_SECONDS},"
            f" not {sample_interval!r}"
        )
    if not isinstance(max_readings, int) or max_readings < 1:
        raise OptionError(f"max_readings must be an integer of at least 1, not {max_readings!r}")
