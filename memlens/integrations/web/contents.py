"""What each endpoint shows: writes it to a file, in the format that was chosen."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from memlens import _core
from memlens.errors import ReadingError
from memlens.files import export
from memlens.heap.capture.take import start_heap_snapshot, take_heap_snapshot
from memlens.integrations.web.child import make_file
from memlens.integrations.web.making import TOO_FEW, Unanalysed
from memlens.integrations.web.requests import HTML, JSON, TEXT, Format, RequestError
from memlens.integrations.web.stopping import Stopper
from memlens.integrations.web.temporary import nameless_file
from memlens.process.reading import read_memory
from memlens.profiler.memory_profiler import MemoryProfiler

__all__ = ("ENDPOINTS", "Endpoint", "Source")

_PPROF = Format("pprof", "application/octet-stream", ".pb.gz", is_download=True)
_FOLDED = Format("folded", "text/plain; charset=utf-8", ".folded")
_MEMLENS = Format("memlens", "application/octet-stream", ".memlens", is_download=True)
_HEAPSNAPSHOT = Format("heapsnapshot", "application/json", ".heapsnapshot", is_download=True)
_NO_PROFILER = (
    "There is no MemoryProfiler here: pass one, or a function that returns the one of this process,"
    " to asgi_app() or wsgi_app(). The endpoint heap-snapshot works without."
)


class Source(NamedTuple):
    """What the endpoints show: the profiler of this process, and the options of snapshots."""

    profiler: Callable[[], MemoryProfiler | None]
    values: bool
    names: str

    def required_profiler(self) -> MemoryProfiler:
        """Return the profiler. Raises `RequestError` (503) where there is none."""
        profiler = self.profiler()
        if profiler is None:
            raise RequestError(503, _NO_PROFILER)
        return profiler


class Endpoint(NamedTuple):
    """A path, its formats (the first is the default), and the function that writes an answer."""

    path: str
    title: str
    formats: tuple[Format, ...]
    write: Callable[[Source, Format, Stopper, str], None]
    needs_profiler: bool = True

    def is_slow(self, form: Format) -> bool:
        """Whether an answer is made one at a time: all but copies of the allocation profile."""
        return self.write is not _write_allocations or form is HTML

    def file_name(self, form: Format) -> str | None:
        """Return the name under which a browser saves the answer, None where it shows it."""
        if not form.is_download:
            return None
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        return f"{self.path.strip('/')}-{stamp}-{os.getpid()}{form.suffix}"


def _write_memory(source: Source, form: Format, stopper: Stopper, path: str) -> None:
    value = _unanalysed(source.required_profiler())
    make_file(stopper, f"memory{form.suffix}", value, value.paths, path)


def _write_leaks(source: Source, form: Format, stopper: Stopper, path: str) -> None:
    value = _unanalysed(source.required_profiler())
    if form is HTML and len(value.paths) < 2:
        raise RequestError(503, TOO_FEW)
    make_file(stopper, f"leaks{form.suffix}", value, value.paths, path)


def _unanalysed(profiler: MemoryProfiler) -> Unanalysed:
    return Unanalysed(profiler.report(analyse=False), profiler.ignore, profiler.baseline)


def _write_allocations(source: Source, form: Format, stopper: Stopper, path: str) -> None:
    profiler = source.required_profiler()
    profile = profiler.report(analyse=False).allocations
    if profile is None:
        why = profiler.health()["allocations"]["off_reason"] or "the profiler was not started"
        raise RequestError(503, f"Allocations are not profiled: {why}.")
    if form is HTML:
        make_file(stopper, "allocations.html", profile, (), path)
    else:
        export(profile, path)


def _write_snapshot(source: Source, form: Format, stopper: Stopper, path: str) -> None:
    if form is _MEMLENS:
        _capture(source, stopper, path)
        return
    with nameless_file(_MEMLENS.suffix, partial(_capture, source, stopper)) as captured:
        number = captured.fileno()
        make_file(stopper, "heapsnapshot", number, [f"/dev/fd/{number}"], path, [number])


def _capture(source: Source, stopper: Stopper, path: str) -> None:
    options: dict[str, Any] = {
        "values": source.values,
        "names": source.names,
        "reason": "request",
        "facts": _facts(),
    }
    if _core.fork_capture is None or sys.platform != "linux":
        take_heap_snapshot(path, **options)
        return
    task = start_heap_snapshot(path, **options)
    task.lower_priority()
    with stopper.stopped_by(task.cancel):
        task.result()


def _facts() -> dict[str, Any]:
    try:
        return {"memory": read_memory().to_dict()}
    except ReadingError:  # the system does not report it, and a snapshot does not need it
        return {}


ENDPOINTS = (
    Endpoint("/memory", "Memory of this process", (HTML, JSON), _write_memory),
    Endpoint(
        "/allocations",
        "Allocations by call path",
        (_PPROF, HTML, _FOLDED, JSON),
        _write_allocations,
    ),
    Endpoint(
        "/heap-snapshot",
        "A snapshot of the heap",
        (_MEMLENS, _HEAPSNAPSHOT),
        _write_snapshot,
        needs_profiler=False,
    ),
    Endpoint("/leaks", "What leaks", (TEXT, HTML, JSON), _write_leaks),
)
