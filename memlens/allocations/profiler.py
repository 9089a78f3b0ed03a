"""AllocationProfiler: where memory is allocated, by sampling; cheap enough to stay on."""

from __future__ import annotations

import atexit
import os
import platform
import threading
import time
import warnings
from types import TracebackType

from memlens._core.sampler_api import OwnWork, why_unavailable
from memlens.allocations.profile.allocation_profile import AllocationProfile, ProfileFacts
from memlens.allocations.profile.rows import AllocationRow
from memlens.allocations.sampling.shared_sampler import SHARED, Subscription
from memlens.allocations.sampling.tracemalloc_source import TracemallocSource
from memlens.errors import OptionError, TracingError

__all__ = ("AllocationProfiler",)

DEFAULT_INTERVAL_BYTES = 512 * 1024
DEFAULT_SAMPLES = 32 * 1024
BACKENDS = ("auto", "sampling", "tracemalloc")
_said: set[str] = set()  # reasons already warned of, once a process


class AllocationProfiler:
    """Profiles allocations of Python's allocators while it runs; a context manager.

    One block in ``sample_interval`` bytes is sampled on average (1: every block, exact), by a
    Poisson process; each sample is weighted by the inverse of its probability, so that sums are
    unbiased. All profilers of the process share one sampler; of several the smallest interval
    holds, and each sees what was allocated since its own start. Bounded: at most ``max_samples``
    live samples are kept (of the first profiler to start); where more are needed the interval is
    doubled.

    ``backend``: ``"sampling"`` (the C sampler, or TracingError), ``"tracemalloc"`` (exact, live
    only, many times slower), ``"auto"``: the sampler, or tracemalloc with one warning where
    there is none. ``seed`` makes the sampling repeat (0: random); for tests. Raises OptionError.

    >>> with AllocationProfiler(sample_interval=1) as profiler:
    ...     kept = [bytes(1000) for _ in range(100)]
    >>> profiler.profile().total.live_count >= 100
    True
    """

    def __init__(
        self,
        sample_interval: int = DEFAULT_INTERVAL_BYTES,
        *,
        backend: str = "auto",
        max_samples: int = DEFAULT_SAMPLES,
        seed: int = 0,
    ) -> None:
        self.sample_interval = _checked("sample_interval", sample_interval, 1, 1 << 56)
        self.max_samples = _checked("max_samples", max_samples, 64, 1 << 26)
        self._seed = _checked("seed", seed, 0, (1 << 64) - 1)
        self.backend = _chosen(backend)
        self._lock, self._pid = threading.RLock(), os.getpid()
        self._subscription: Subscription | None = None
        self._tracing: TracemallocSource | None = None
        self._last: AllocationProfile | None = None
        self._started_at = self._started_clock = 0.0

    @property
    def is_running(self) -> bool:
        """Tells whether it was started and not stopped."""
        return self._subscription is not None or self._tracing is not None

    def start_sampling(self) -> None:
        """Begin with an empty profile. Raises TracingError where it runs already, or cannot."""
        with self._guard():
            if self.is_running:
                raise TracingError(
                    "this profiler is running: stop_sampling() it first, or reset() it"
                )
            if self.backend == "tracemalloc":
                self._tracing = TracemallocSource()
                self._tracing.start()
            else:
                self._subscription = self._subscribed()
            self._last = None
            self._begin_clock()
            atexit.register(self._stop_quietly)

    def stop_sampling(self) -> AllocationProfile:
        """Return the profile and stop. Raises TracingError where it does not run."""
        with self._guard():
            self._check_runs()
            try:
                self._last = self.profile()
            finally:
                self._stop_quietly()
            return self._last

    def profile(self) -> AllocationProfile:
        """Return the profile since the start, and go on; of a stopped one, the last profile.

        Raises TracingError where it never ran, or where somebody stopped tracemalloc meanwhile.
        """
        with self._guard(), OwnWork():
            if self._last is not None:
                return self._last
            rows = self._rows()
            health = self.health()
            facts = ProfileFacts(
                source=self.backend,
                interval_bytes=int(health.get("interval_bytes", 1)),
                started_at=self._started_at,
                duration_seconds=time.monotonic() - self._started_clock,
                pid=os.getpid(),
                python=platform.python_version(),
                rss_bytes=_resident_bytes(),
                dropped_samples=int(health.get("dropped_samples", 0)),
                hooks_bypassed="bypassed" in (health.get("mem_hook"), health.get("object_hook")),
            )
        return AllocationProfile(rows, facts)

    def reset(self) -> None:
        """Begin again with an empty profile. Raises TracingError where it does not run.

        Where another tool has taken the sampler's hooks away they are put back, and the profiles of
        all profilers begin again: what was freed meanwhile is not known.
        """
        with self._guard():
            self._check_runs()
            if self._subscription is not None:
                SHARED.begin_again(self._subscription)
            elif self._tracing is not None:
                self._tracing.reset()
            self._begin_clock()

    def health(self) -> dict[str, bool | int | float | str]:
        """Return how the profiler is doing, as plain numbers and words.

        ``backend``, ``running``, ``subscribers``. Of the sampler: ``interval_bytes`` now,
        ``live_samples`` of ``capacity``, ``site_table_load`` (0 to 1), ``slow_path_seconds`` spent
        on samples (estimated), counters (``samples``, ``dropped_samples``, ``thinnings``,
        ``unplaced_samples``, ``replaced_samples``...), and ``mem_hook`` / ``object_hook``:
        ``installed``, ``covered`` (another tool hooked after us, calls still reach us),
        ``bypassed`` (they do not), ``passthrough`` (stopped, but under another tool's hook),
        ``off``.
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
        self.start_sampling()
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop; `profile` still gives what was profiled in the block."""
        if self.is_running:
            try:
                self.stop_sampling()
            except TracingError:
                # Somebody stopped tracemalloc: `profile` will say that nothing ran to its end. An
                # error of the block must pass, not this one.
                self._last = None

    def __repr__(self) -> str:
        state = "running" if self.is_running else "stopped"
        return f"<AllocationProfiler: {self.backend}, every {self.sample_interval} bytes, {state}>"

    def _guard(self) -> threading.RLock:
        """The lock; a new one in a forked child, where another thread may have left it locked."""
        if self._pid != os.getpid():
            self._lock, self._pid = threading.RLock(), os.getpid()
        return self._lock

    def _subscribed(self) -> Subscription:
        try:
            return SHARED.join(self.sample_interval, self.max_samples, self._seed)
        except (RuntimeError, MemoryError) as error:
            raise TracingError(f"the sampler cannot start: {error}") from error

    def _check_runs(self) -> None:
        if not self.is_running:
            raise TracingError("this profiler is not running: start_sampling() it first")

    def _rows(self) -> list[AllocationRow]:
        self._check_runs()
        if self._subscription is not None:
            return SHARED.rows(self._subscription)
        return self._tracing.rows() if self._tracing is not None else []

    def _stop_quietly(self) -> None:
        """Stop where it runs. At the end of the process too: no hook outlives the interpreter."""
        with self._guard():
            subscription, self._subscription = self._subscription, None
            tracing, self._tracing = self._tracing, None
            if subscription is not None:
                SHARED.leave(subscription)
            if tracing is not None:
                tracing.stop()
        atexit.unregister(self._stop_quietly)

    def _begin_clock(self) -> None:
        self._started_at, self._started_clock = time.time(), time.monotonic()


def _checked(name: str, value: object, smallest: int, largest: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not smallest <= value <= largest:
        raise OptionError(
            f"{name}={value!r}: a whole number from {smallest} to {largest} is wanted"
        )
    return value


def _chosen(backend: str) -> str:
    if backend not in BACKENDS:
        raise OptionError(f"unknown backend={backend!r}: use one of {', '.join(BACKENDS)}")
    if backend == "tracemalloc":
        return backend
    reason = why_unavailable()
    if reason is None:
        return "sampling"
    if backend == "sampling":
        raise TracingError(f"allocations cannot be sampled here: {reason}")
    if reason not in _said:
        _said.add(reason)
        warnings.warn(
            "allocations cannot be sampled here, so tracemalloc is used, which makes programs 7 to "
            f"24 times slower and knows live memory only: {reason}",
            RuntimeWarning,
            stacklevel=3,
        )
    return "tracemalloc"


def _resident_bytes() -> int | None:
    import psutil

    try:
        return int(psutil.Process().memory_info().rss)
    except (psutil.Error, OSError):
        return None  # the platform does not tell; the profile says so by None
