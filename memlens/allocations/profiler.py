"""AllocationProfiler: a sampling profiler of allocations, cheap enough for production."""

from __future__ import annotations

import atexit
import os
import platform
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import NamedTuple

from memlens._core.sampler_api import OwnWork, why_unavailable
from memlens._interpreter import require_usable_interpreter
from memlens._options import check_integer
from memlens.allocations.profile.allocation_profile import AllocationProfile, ProfileFacts
from memlens.allocations.profile.rows import AllocationRow
from memlens.allocations.sampling.shared_sampler import SHARED, AllocatedSince, Subscription
from memlens.allocations.sampling.site_tables import LiveSites
from memlens.allocations.sampling.tracemalloc_source import TracemallocSource
from memlens.errors import OptionError, TracingError

__all__ = ("AllocationProfiler", "IntervalStart")

DEFAULT_INTERVAL_BYTES = 512 * 1024
DEFAULT_SAMPLES = 32 * 1024
BACKENDS = ("auto", "sampling", "tracemalloc")
_warned: set[str] = set()  # reasons that this process was warned about


class IntervalStart(NamedTuple):
    """Where the next profile of `AllocationProfiler.interval_profile` begins."""

    started_at: float
    monotonic_seconds: float
    allocated: AllocatedSince | None


class AllocationProfiler:
    """Profiles the allocations of Python's allocators while it runs; a context manager.

    On average one block is sampled in every ``interval_bytes`` allocated bytes (1: every block,
    exact), by a Poisson process. Each sample is weighted by the inverse of its probability, so
    sums are unbiased. All profilers of a process share one sampler: the smallest interval applies
    to all of them, and each profiler sees what was allocated since its own start. At most
    ``max_samples`` live samples are kept (the value of the profiler that started first); beyond
    that the interval is doubled.

    ``backend`` is ``"sampling"`` (the C sampler; raises TracingError if there is none),
    ``"tracemalloc"`` (exact, live memory only, many times slower) or ``"auto"`` (the C sampler;
    tracemalloc with one warning if there is none). ``seed`` makes sampling reproducible in tests
    (0: random). Raises OptionError for an option of the wrong type or out of range.

    `start_sampling` and `stop_sampling` are other names of `start` and `stop`.

    >>> with AllocationProfiler(interval_bytes=1) as profiler:
    ...     kept = [bytes(1000) for _ in range(100)]
    >>> profiler.profile().total.live_count >= 100
    True
    """

    def __init__(
        self,
        interval_bytes: int = DEFAULT_INTERVAL_BYTES,
        *,
        backend: str = "auto",
        max_samples: int = DEFAULT_SAMPLES,
        seed: int = 0,
    ) -> None:
        self.interval_bytes = check_integer("interval_bytes", interval_bytes, 1, 1 << 56)
        self.max_samples = check_integer("max_samples", max_samples, 64, 1 << 26)
        self._seed = check_integer("seed", seed, 0, (1 << 64) - 1)
        self.backend = _chosen(backend)
        self._subscription: Subscription | None = None
        self._tracing: TracemallocSource | None = None
        self._last: AllocationProfile | None = None
        self._started_at = self._started_clock = 0.0
        self._changer: tuple[int, int] | None = None  # process and thread, see _changing

    @property
    def is_running(self) -> bool:
        """Whether the profiler was started and not stopped."""
        return self._subscription is not None or self._tracing is not None

    def start(self) -> None:
        """Start with an empty profile.

        Raises TracingError if it is running or cannot start, CaptureError in a sub-interpreter.
        """
        require_usable_interpreter("a profile of allocations")
        with self._changing():
            if self.is_running:
                raise TracingError(
                    "this profiler is running already: call stop() first, or reset()"
                )
            self._start_clock()
            try:
                if self.backend == "tracemalloc":
                    self._tracing = TracemallocSource()
                    self._tracing.start()
                else:
                    self._join()
                self._last = None
                atexit.register(self._stop_at_exit)
            except BaseException:
                self._stop_now()
                raise

    def stop(self) -> AllocationProfile:
        """Stop and return the profile. Raises TracingError if the profiler is not running."""
        with self._changing():
            self._check_running()
            try:
                self._last = last = self.profile()
            finally:
                self._stop_now()
            return last

    start_sampling = start
    stop_sampling = stop

    def profile(self) -> AllocationProfile:
        """Return the profile since the start without stopping; after `stop`, the last profile.

        Raises TracingError if the profiler never ran, or if other code stopped tracemalloc.
        """
        if self._last is not None:
            return self._last
        self._check_running()
        try:
            return self.interval_profile()[0]
        except TracingError:
            last = self._last
            if last is None:
                raise
            return last  # stopped meanwhile, by another thread, a signal handler or a finalizer

    def interval_profile(
        self, since: IntervalStart | None = None
    ) -> tuple[AllocationProfile, IntervalStart]:
        """Return a profile of an interval, and where the next interval begins.

        What was allocated is counted from ``since`` on (None: from the start), what is alive from
        the start on. So the allocated bytes of consecutive intervals add up to those of `profile`.
        Raises TracingError if the profiler is not running.
        """
        self._check_running()
        begin = since or IntervalStart(self._started_at, self._started_clock, None)
        with OwnWork():
            rows, allocated = self._rows(begin.allocated)
            here = IntervalStart(time.time(), time.monotonic(), allocated)
            facts = self._facts(begin.started_at, here.monotonic_seconds - begin.monotonic_seconds)
        return AllocationProfile(rows, facts), here

    def live_sites(self, limit: int) -> LiveSites | None:
        """Return the lines that allocated most of what is alive; None where that is not cheap.

        It is cheap with the sampler, and is not with tracemalloc. None also if the profiler is not
        running. Takes milliseconds however much is alive.
        """
        subscription = self._subscription
        if subscription is None:
            return None
        with OwnWork():
            try:
                return SHARED.live_sites(subscription, limit)
            except RuntimeError:
                return None  # stopped meanwhile

    def _facts(self, started_at: float, duration_seconds: float) -> ProfileFacts:
        health = self.health()
        return ProfileFacts(
            source=self.backend,
            interval_bytes=int(health.get("interval_bytes", 1)),
            started_at=started_at,
            duration_seconds=duration_seconds,
            pid=os.getpid(),
            python=platform.python_version(),
            rss_bytes=_resident_bytes(),
            dropped_samples=int(health.get("dropped_samples", 0)),
            hooks_bypassed="bypassed" in (health.get("mem_hook"), health.get("object_hook")),
        )

    def reset(self) -> None:
        """Restart with an empty profile. Raises TracingError if the profiler is not running.

        If another tool replaced the sampler's hooks, they are installed again and all profilers of
        the process restart, because frees were missed in between.
        """
        with self._changing():
            self._check_running()
            if self._subscription is not None:
                try:
                    SHARED.restart(self._subscription)
                except (RuntimeError, MemoryError) as error:
                    raise TracingError(f"cannot restart the sampler: {error}") from error
            elif self._tracing is not None:
                self._tracing.reset()
            self._start_clock()

    def health(self) -> dict[str, bool | int | float | str]:
        """Return the state of the profiler, as plain numbers and words.

        ``backend``, ``is_running`` and ``subscribers`` (profilers that share the sampler). The
        sampler adds ``interval_bytes`` (the current interval), ``live_samples`` and ``capacity``,
        ``site_table_load`` (0 to 1), ``slow_path_seconds`` (estimated time spent on samples),
        counters (``samples``, ``dropped_samples``, ``thinnings``, ``unplaced_samples``,
        ``replaced_samples``...) and the state of ``mem_hook`` and ``object_hook``: ``installed``,
        ``covered`` (another tool added a hook later and still calls ours), ``bypassed`` (it does
        not call ours), ``passthrough`` (stopped, but another tool still calls our hook) or ``off``.
        """
        report: dict[str, bool | int | float | str] = {}
        if self.backend == "sampling":
            report |= SHARED.sampler.health()
        report |= {
            "backend": self.backend,
            "is_running": self.is_running,
            "subscribers": SHARED.subscribers if self.backend == "sampling" else 0,
        }
        return report

    def __enter__(self) -> AllocationProfiler:
        self.start()
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop. `profile` still returns the profile of the block."""
        if self.is_running:
            try:
                self.stop()
            except TracingError:
                # Other code stopped tracemalloc. `profile` reports it; raising here would replace
                # an exception of the block.
                self._last = None

    def __repr__(self) -> str:
        state = "running" if self.is_running else "stopped"
        return f"<AllocationProfiler: {self.backend}, every {self.interval_bytes} bytes, {state}>"

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Let one start, stop or reset run at a time.

        The lock keeps other threads out. A signal handler or a finalizer that interrupts one of
        them in the same thread gets TracingError: it could only find the profiler half started.
        """
        here = os.getpid(), threading.get_ident()
        with SHARED.guard():
            # In a forked child it may name a thread of the parent, which does not go on there.
            if self._changer == here:
                raise TracingError(
                    "this profiler is being started, stopped or reset by the code that this signal "
                    "handler or finalizer interrupts"
                )
            try:
                self._changer = here
                yield
            finally:
                self._changer = None

    def _join(self) -> None:
        self._subscription = Subscription(self.interval_bytes, self.max_samples, self._seed)
        try:
            SHARED.join(self._subscription)
        except (RuntimeError, MemoryError) as error:
            raise TracingError(f"cannot start the sampler: {error}") from error

    def _check_running(self) -> None:
        if not self.is_running:
            raise TracingError("this profiler is not running: call start() first")

    def _rows(
        self, since: AllocatedSince | None
    ) -> tuple[list[AllocationRow], AllocatedSince | None]:
        subscription, tracing = self._subscription, self._tracing
        if subscription is not None:
            try:
                return SHARED.rows(subscription, since)
            except RuntimeError as error:
                raise TracingError(f"the profile cannot be read: {error}") from error
        if tracing is None:
            raise TracingError("this profiler was stopped while its profile was made")
        return tracing.rows(), None

    def _stop_now(self) -> None:
        """Stop where it runs. The caller holds the lock."""
        if self._subscription is not None:
            SHARED.leave(self._subscription)
            self._subscription = None
        if self._tracing is not None:
            self._tracing.stop()
            self._tracing = None
        atexit.unregister(self._stop_at_exit)

    def _stop_at_exit(self) -> None:
        """Stop at the end of the process: no hook outlives the interpreter."""
        with SHARED.guard():
            self._stop_now()

    def _start_clock(self) -> None:
        self._started_at, self._started_clock = time.time(), time.monotonic()


def _chosen(backend: str) -> str:
    if backend not in BACKENDS:
        raise OptionError(f"unknown backend={backend!r}: use one of {', '.join(BACKENDS)}")
    if backend == "tracemalloc":
        return backend
    reason = why_unavailable()
    if reason is None:
        return "sampling"
    if backend == "sampling":
        raise TracingError(f"cannot sample allocations: {reason}")
    if reason not in _warned:
        _warned.add(reason)
        warnings.warn(
            "cannot sample allocations; using tracemalloc, which makes programs 7 to 24 times slower"
            f" and reports live memory only: {reason}",
            RuntimeWarning,
            stacklevel=3,
        )
    return "tracemalloc"


def _resident_bytes() -> int | None:
    import psutil

    try:
        return int(psutil.Process().memory_info().rss)
    except AttributeError:
        return None  # a signal handler that interrupts the import of psutil
    except (psutil.Error, OSError):
        return None  # the platform does not report it
