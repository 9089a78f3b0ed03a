"""AllocationProfiler: where memory is allocated, by sampling; cheap enough to stay on."""

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

from memlens._core.sampling import OwnWork, why_unavailable
from memlens.allocations.profile import AllocationProfile, ProfileFacts
from memlens.allocations.profiles.rows import AllocationRow
from memlens.allocations.sampler.fallback import TracemallocSource
from memlens.allocations.sampler.shared import SHARED, Subscription
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
        self._subscription: Subscription | None = None
        self._tracing: TracemallocSource | None = None
        self._last: AllocationProfile | None = None
        self._started_at = self._started_clock = 0.0
        self._changer: tuple[int, int] | None = None  # process and thread, see _changing

    @property
    def is_running(self) -> bool:
        """Tells whether it was started and not stopped."""
        return self._subscription is not None or self._tracing is not None

    def start_sampling(self) -> None:
        """Begin with an empty profile. Raises TracingError where it runs already, or cannot."""
        with self._changing():
            if self.is_running:
                raise TracingError(
                    "this profiler is running: stop_sampling() it first, or reset() it"
                )
            self._begin_clock()
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

    def stop_sampling(self) -> AllocationProfile:
        """Return the profile and stop. Raises TracingError where it does not run."""
        with self._changing():
            self._check_runs()
            try:
                self._last = last = self.profile()
            finally:
                self._stop_now()
            return last

    def profile(self) -> AllocationProfile:
        """Return the profile since the start, and go on; of a stopped one, the last profile.

        Raises TracingError where it never ran, or where somebody stopped tracemalloc meanwhile.
        """
        if self._last is not None:
            return self._last
        self._check_runs()
        try:
            return self._profile_now()
        except TracingError:
            last = self._last
            if last is None:
                raise
            return last  # stopped meanwhile, by another thread, a signal handler or a finalizer

    def _profile_now(self) -> AllocationProfile:
        with OwnWork():
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
        with self._changing():
            self._check_runs()
            if self._subscription is not None:
                try:
                    SHARED.begin_again(self._subscription)
                except (RuntimeError, MemoryError) as error:
                    raise TracingError(f"the sampler cannot begin again: {error}") from error
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
            "running": self.is_running,
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
        self._subscription = Subscription(self.sample_interval, self.max_samples, self._seed)
        try:
            SHARED.join(self._subscription)
        except (RuntimeError, MemoryError) as error:
            raise TracingError(f"the sampler cannot start: {error}") from error

    def _check_runs(self) -> None:
        if not self.is_running:
            raise TracingError("this profiler is not running: start_sampling() it first")

    def _rows(self) -> list[AllocationRow]:
        subscription, tracing = self._subscription, self._tracing
        if subscription is not None:
            try:
                return SHARED.rows(subscription)
            except RuntimeError as error:
                raise TracingError(f"the profile cannot be read: {error}") from error
        if tracing is None:
            raise TracingError("this profiler was stopped while its profile was made")
        return tracing.rows()

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
    except AttributeError:
        return None  # a signal handler that interrupts the import of psutil
    except (psutil.Error, OSError):
        return None  # the platform does not tell; the profile says so by None
