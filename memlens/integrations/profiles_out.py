"""ProfileSender: send the allocation profile of a process to OpenTelemetry or Pyroscope.

    from memlens.integrations.profiles_out import ProfileSender

    with memlens.MemoryProfiler() as profiler, ProfileSender(profiler, "http://collector:4318"):
        serve()

Needs nothing beyond memlens. How it behaves when a receiver fails is in ``docs/metrics.md``.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any

from memlens._core.sampler_api import OwnWork
from memlens._fork import call_in_forked_child
from memlens._log import warn_once
from memlens._options import check_callable, check_choice, check_integer, check_seconds, shown
from memlens._own_thread import OwnThread, out_of_sight
from memlens.allocations.profile.allocation_profile import AllocationProfile
from memlens.allocations.profiler import DEFAULT_INTERVAL_BYTES, AllocationProfiler, IntervalStart
from memlens.errors import OptionError, TracingError
from memlens.formats.otlp_profiles import SpanLink
from memlens.integrations.sending.http_post import HttpPoster, shown_url
from memlens.integrations.sending.otel_environment import certificate_file
from memlens.integrations.sending.profile_delivery import ProfileDelivery
from memlens.integrations.sending.profile_requests import (
    OtlpRequests,
    PyroscopeRequests,
    Requests,
    check_attributes,
)
from memlens.integrations.sending.span_links import active_span_link
from memlens.profiler.memory_profiler import MemoryProfiler

__all__ = ("ProfileSender",)

PROTOCOLS = ("otlp", "pyroscope")
_STOP_SECONDS = 5.0  # how long stop() waits for the last request
_ABORT_SECONDS = 1.0  # how long it then waits for the thread: a connection may still be opened


class ProfileSender:
    """Sends the allocation profile every ``interval`` seconds, in the thread ``memlens-profiles``.

    * ``profiler``: a running `MemoryProfiler` or `AllocationProfiler`. While it does not run, nothing
      is sent.
    * ``url``: the receiver. For ``"otlp"`` the path ``/v1development/profiles`` is added if the URL
      has none, and None means that of the environment variables of OpenTelemetry; for
      ``"pyroscope"`` ``/ingest`` is added.
    * ``headers``: for example ``{"Authorization": "Bearer ..."}``. OTLP also uses those of
      ``OTEL_EXPORTER_OTLP_HEADERS``.
    * ``attributes``: of the process, such as ``{"deployment.environment.name": "staging"}``, in
      addition to ``OTEL_SERVICE_NAME`` and ``OTEL_RESOURCE_ATTRIBUTES``; labels in Pyroscope.
    * ``timeout``: seconds for one request altogether.
    * ``clock``: returns monotonic seconds.

    Each profile holds what was allocated since the last one that arrived, and all that is alive. So
    nothing is lost when a receiver cannot be reached for a while: the next profile covers the longer
    time. At most one profile waits to be sent.

    The statuses 429, 502, 503 and 504 and lost connections are tried again until the next profile is
    due: after 1, 2, 4... up to 30 seconds, shortened at random, or when ``Retry-After`` says. Any
    other status drops the profile. Redirects are not followed. Failures are logged once, counted in
    `health`, and never raised into the program. A forked child sends its own profiles.

    Raises OptionError for an option of the wrong type or out of range.
    """

    def __init__(
        self,
        profiler: MemoryProfiler | AllocationProfiler,
        url: str | None = None,
        *,
        protocol: str = "otlp",
        interval: float = 60.0,
        headers: Mapping[str, str] | None = None,
        attributes: Mapping[str, str] | None = None,
        timeout: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not isinstance(profiler, (MemoryProfiler, AllocationProfiler)):
            raise OptionError(
                f"profiler must be a MemoryProfiler or an AllocationProfiler; got {shown(profiler)}"
            )
        check_callable("clock", clock)
        self._profiler = profiler
        self._interval = check_seconds("interval", interval)
        is_otlp = check_choice("protocol", protocol, PROTOCOLS) == "otlp"
        made = OtlpRequests if is_otlp else PyroscopeRequests
        self._requests: Requests = made(url, headers, check_attributes(attributes))
        self._poster = HttpPoster(
            check_seconds("timeout", timeout), certificate_file() if is_otlp else None
        )
        self._clock = clock
        self._delivery = ProfileDelivery(self._requests, self._poster, clock, self._wait_until)
        self._reset()
        call_in_forked_child(self._after_fork)

    def _reset(self) -> None:
        """Set the initial state: in the constructor and in a forked child."""
        self._thread: OwnThread | None = None
        self._condition = threading.Condition(threading.RLock())
        self._since: IntervalStart | None = None
        self._waiting: tuple[AllocationProfile, SpanLink | None] | None = None
        self._due = 0.0
        self._send_last = False
        self._spans_dropped = 0
        self._poster.forget()
        self._delivery.forget()

    # -- lifecycle -------------------------------------------------------------------------------

    @property
    def is_running(self) -> bool:
        """Whether the sender is running."""
        return self._thread is not None

    @property
    def url(self) -> str:
        """Where profiles are sent, without a query."""
        return self._requests.url

    def start(self) -> ProfileSender:
        """Start sending; the first profile is due after one interval. Does nothing if running."""
        with self._condition:
            if self._thread is None:
                self._start_thread()
        return self

    def stop(self, *, send_last: bool = True) -> None:
        """Stop sending. Does nothing if not running.

        ``send_last``: try once more to send what was sampled since the last profile. Waits at most
        5 seconds for that, then ends the request and waits up to 1 second for the thread.
        """
        with self._condition:
            thread, self._thread = self._thread, None
            self._send_last = send_last
            self._condition.notify_all()
        if thread is None or thread is threading.current_thread():
            return
        thread.wait_for_end(_STOP_SECONDS)
        if thread.is_alive():
            self._poster.abort()
            thread.wait_for_end(_ABORT_SECONDS)

    def __enter__(self) -> ProfileSender:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        state = "running" if self.is_running else "stopped"
        return f"<ProfileSender: {shown_url(self.url)}, {self._delivery.sent} sent, {state}>"

    def health(self) -> dict[str, Any]:
        """Return ``is_running`` and counters.

        ``sent``, ``rejected`` (by a receiver that accepted the request) and ``dropped`` profiles,
        ``retries`` of requests, ``failures`` and the text of the last one, ``last_error``.
        """
        counters = self._delivery.health()
        counters["dropped"] += self._spans_dropped
        return {"is_running": self.is_running, **counters}

    def _start_thread(self) -> None:
        self._due = self._clock() + self._interval
        self._send_last = False
        thread = OwnThread(self._run, "memlens-profiles")
        self._thread = thread
        try:
            thread.start()
        except (RuntimeError, MemoryError) as error:  # no thread can be started
            self._thread = None
            self._delivery.failures.note("profiles are not sent", error, with_traceback=False)

    def _after_fork(self) -> None:
        was_running = self._thread is not None
        self._reset()
        if was_running:
            self.start()

    # -- profiles of spans -----------------------------------------------------------------------

    @contextmanager
    def profile_span(self, interval_bytes: int = DEFAULT_INTERVAL_BYTES) -> Iterator[None]:
        """Profile the block, and send its profile with a link to the span that is active.

        Only allocations of this thread are in it. The link is left out where they may belong to other
        spans: in an event loop or a greenlet, where the thread serves other requests in between. The
        span must be active before and after the block.

        If another profile is waiting to be sent, this one is dropped and counted. Where nothing can
        be sampled, or the sender does not run, the block just runs. ``interval_bytes``: one sample in
        so many allocated bytes, as for `AllocationProfiler`. Raises OptionError if that is no positive
        integer.
        """
        check_integer("interval_bytes", interval_bytes, 1, 1 << 56)
        link = active_span_link()
        profiler = _started(interval_bytes) if self.is_running else None
        try:
            yield
        finally:
            if profiler is not None:
                self._enqueue(profiler, link if link == active_span_link() else None)

    def _enqueue(self, profiler: AllocationProfiler, link: SpanLink | None) -> None:
        failures = self._delivery.failures
        try:
            profile = profiler.stop().filter(thread=threading.current_thread().name)
        except TracingError as error:  # the sampler was stopped meanwhile
            failures.note("the profile of a span cannot be read", error, with_traceback=False)
            return
        with self._condition:
            if self._waiting is not None or self._thread is None:
                self._spans_dropped += 1
                return
            self._waiting = profile, link
            self._condition.notify_all()

    # -- the thread ------------------------------------------------------------------------------

    def _run(self) -> None:
        me = threading.current_thread()
        with OwnWork():
            self._guarded(self._begin)
            while self._next_turn(me):
                self._guarded(self._take_turn)
            if self._send_last:
                self._guarded(self._take_last_turn)

    def _guarded(self, work: Callable[[], object]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - must neither end the thread nor be printed
            self._delivery.failures.note("a profile could not be sent", error)

    def _begin(self) -> None:
        self._since = self._interval_profile()[1]

    def _next_turn(self, me: threading.Thread) -> bool:
        """Wait until a profile is to be sent. Returns False if the thread must end."""
        with self._condition:
            while self._thread is me:
                wanted = self._due if self._waiting is None else 0.0
                seconds = max(wanted, self._delivery.not_before) - self._clock()
                if seconds <= 0:
                    return True
                with out_of_sight():
                    self._wait(seconds)
        return False

    def _take_turn(self) -> None:
        if self._waiting is not None:
            self._send_waiting(*self._waiting)
        if self._clock() >= self._due:
            self._due = self._clock() + self._interval
            self._send_interval(deadline=self._due)

    def _take_last_turn(self) -> None:
        if self._waiting is not None:
            self._send_waiting(*self._waiting)
        self._send_interval(deadline=self._clock())

    def _send_waiting(self, profile: AllocationProfile, link: SpanLink | None) -> None:
        try:
            if not self._delivery.send(profile, link, self._due):
                self._spans_dropped += 1
        finally:
            self._waiting = None

    def _send_interval(self, deadline: float) -> None:
        profile, here = self._interval_profile()
        if profile is None or here is None:
            return
        if self._since is None:  # the profiler has just been started
            self._since = here
            return
        if self._delivery.send(profile, None, deadline):
            self._since = here

    def _interval_profile(self) -> tuple[AllocationProfile | None, IntervalStart | None]:
        try:
            found = self._profiler.interval_profile(self._since)
        except TracingError:
            found = None  # it does not run
        return found if found is not None else (None, None)

    def _wait_until(self, moment: float) -> bool:
        """Wait until a moment of the clock. Returns False if the thread must end before."""
        me = threading.current_thread()
        with self._condition:
            while self._thread is me and (seconds := moment - self._clock()) > 0:
                self._wait(seconds)
            return self._thread is me

    def _wait(self, seconds: float) -> None:
        self._condition.wait(seconds)


def _started(interval_bytes: int) -> AllocationProfiler | None:
    try:
        profiler = AllocationProfiler(interval_bytes, backend="sampling")
        profiler.start()
    except TracingError as error:
        warn_once(f"spans are not profiled: {error}")
        return None
    return profiler
