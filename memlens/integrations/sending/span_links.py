"""The span of OpenTelemetry that the allocations of this thread belong to, if that is certain."""

from __future__ import annotations

import sys
import threading

from memlens.formats.otlp_profiles import SpanLink

__all__ = ("active_span_link",)


def active_span_link() -> SpanLink | None:
    """Return a link to the active span of this thread; None without one, or where it is uncertain.

    In an event loop or a greenlet the thread serves other work while a block waits, and threads of
    one name cannot be told apart in a profile. OpenTelemetry is not imported: where the program
    does not use it, there is no span.
    """
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None or _thread_is_shared():
        return None
    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return None
    return SpanLink(
        context.trace_id.to_bytes(16, "big"),
        context.span_id.to_bytes(8, "big"),
        threading.current_thread().name,
    )


def _thread_is_shared() -> bool:
    asyncio, trio, greenlet = map(sys.modules.get, ("asyncio", "trio.lowlevel", "greenlet"))
    if asyncio is not None and asyncio._get_running_loop() is not None:
        return True
    if trio is not None and trio.in_trio_run():
        return True
    if greenlet is not None and greenlet.getcurrent().parent is not None:
        return True
    name = threading.current_thread().name  # by which the rows of a profile tell threads apart
    return sum(thread.name == name for thread in threading.enumerate()) > 1
