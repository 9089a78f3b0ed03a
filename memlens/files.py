"""Read and write files: ``load`` selects by content, ``export`` by the suffix of the name."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from memlens._atomic import checked_path, write_whole
from memlens.allocations.profile.allocation_profile import AllocationProfile
from memlens.allocations.tracing.trace_store import TraceStore
from memlens.errors import OptionError, SnapshotFileError
from memlens.heap.snapshot import HeapSnapshot
from memlens.leaks.leak_report import LeakReport

__all__ = ("export", "load")


def load(path: str | os.PathLike[str]) -> HeapSnapshot | AllocationProfile | TraceStore:
    """Open a file that memlens wrote. Its kind is found from the content, not from the name.

    A heap snapshot (``.memlens``), an allocation profile (``AllocationProfile.save``) or traces
    (``TraceStore.save``; the store is not started). Raises ``SnapshotFileError`` for a file that
    memlens did not write, that is truncated or damaged, or that a newer version wrote.
    """
    path = checked_path(path)
    try:
        with open(path, "rb", opener=_without_waiting) as file:
            head = file.read(64) or b""
    except OSError as error:
        raise SnapshotFileError(f"cannot read {path!r}: {error.strerror or error}") from error
    if head.startswith(b"memlens-traces"):
        return TraceStore.load(path)
    if head.lstrip()[:1] == b"{":
        return AllocationProfile.load(path)
    return HeapSnapshot.load(path)


def export(value: object, path: str | os.PathLike[str]) -> int:
    """Write a value in the format that the suffix selects; return the file size in bytes.

    An `AllocationProfile`: ``.pb.gz`` (pprof), ``.speedscope.json``, ``.firefox.json`` (Firefox
    Profiler), ``.folded`` (flame graphs), ``.heapprofile`` (Chrome DevTools), ``.json`` (for
    `load`). A `HeapSnapshot`: ``.memlens``. A `TraceStore`: ``.traces``. A profile, a snapshot or a
    `LeakReport`: ``.html``, a report for a browser.

    The file is complete or not there at all. Raises ``OptionError`` for another suffix or value,
    ``OutputError`` if the file cannot be written.
    """
    for known, writers in _WRITERS:
        if isinstance(value, known):
            return _writer(known, writers, checked_path(path))(value, path)
    kinds = ", ".join(known.__name__ for known, _ in _WRITERS)
    raise OptionError(f"cannot export a {type(value).__name__}: it must be one of {kinds}")


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # a FIFO would block


_Writer = Callable[[Any, "str | os.PathLike[str]"], int]


def _pprof(profile: AllocationProfile, path: str | os.PathLike[str]) -> int:
    from memlens.formats.pprof import pprof_bytes

    return write_whole(path, pprof_bytes(profile))


def _speedscope(profile: AllocationProfile, path: str | os.PathLike[str]) -> int:
    from memlens.formats.speedscope import speedscope_text

    return write_whole(path, speedscope_text(profile).encode())


def _firefox(profile: AllocationProfile, path: str | os.PathLike[str]) -> int:
    from memlens.formats.firefox import firefox_text

    return write_whole(path, firefox_text(profile).encode())


def _folded(profile: AllocationProfile, path: str | os.PathLike[str]) -> int:
    from memlens.formats.folded import folded_text

    return write_whole(path, folded_text(profile).encode())


def _heapprofile(profile: AllocationProfile, path: str | os.PathLike[str]) -> int:
    from memlens.formats.devtools import heapprofile_text

    return write_whole(path, heapprofile_text(profile).encode())


# The longest matching suffix is used: ``.speedscope.json`` before ``.json``.
_WRITERS: tuple[tuple[type, Mapping[str, _Writer]], ...] = (
    (
        AllocationProfile,
        {
            ".pb.gz": _pprof,
            ".speedscope.json": _speedscope,
            ".firefox.json": _firefox,
            ".folded": _folded,
            ".heapprofile": _heapprofile,
            ".json": AllocationProfile.save,
            ".html": AllocationProfile.to_html,
        },
    ),
    (HeapSnapshot, {".memlens": HeapSnapshot.save, ".html": HeapSnapshot.to_html}),
    (LeakReport, {".html": LeakReport.to_html}),
    (TraceStore, {".traces": TraceStore.save}),
)


def _writer(known: type, writers: Mapping[str, _Writer], path: str) -> _Writer:
    name = os.path.basename(path).lower()
    fitting = [suffix for suffix in writers if name.endswith(suffix)]
    if not fitting:
        raise OptionError(
            f"unknown suffix in {path!r}: the suffixes for {known.__name__} are"
            f" {', '.join(writers)}"
        )
    return writers[max(fitting, key=len)]
