"""Read and write files: ``load`` selects by content, ``export`` by the suffix of the name."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from memlens._atomic import checked_path, without_waiting, write_whole
from memlens.allocations.profile.allocation_profile import AllocationProfile
from memlens.allocations.tracing.trace_store import TraceStore
from memlens.errors import OptionError, SnapshotFileError
from memlens.heap.snapshot import HeapSnapshot
from memlens.leaks.leak_report import LeakReport

__all__ = ("export", "load")


def load(path: str | os.PathLike[str]) -> HeapSnapshot | AllocationProfile | TraceStore:
    """Open a saved file. Its kind is found from the content, not from the name.

    A heap snapshot (``.memlens``), an allocation profile (``AllocationProfile.save``) or traces
    (``TraceStore.save``; the store is not started). A ``.heapsnapshot`` of Node.js, Chrome or memlens
    becomes a heap snapshot, too. Raises ``SnapshotFileError`` for another file, for one that is
    truncated or damaged, or that a newer version wrote.
    """
    path = checked_path(path)
    if os.path.isdir(path):
        raise SnapshotFileError(
            f"{path!r} is a folder: give its files, as in {os.path.join(path, '*.memlens')}"
        )
    try:
        with open(path, "rb", opener=without_waiting) as file:
            head = file.read(64) or b""
    except OSError as error:
        raise SnapshotFileError(f"cannot read {path!r}: {error.strerror or error}") from error
    if head.lstrip().lower().startswith((b"<!doctype html", b"<html")):
        raise SnapshotFileError(f"{path!r} is a report already: open it in a browser")
    if head.startswith(b"memlens-traces"):
        return TraceStore.load(path)
    if head.lstrip()[:1] == b"{":
        from memlens.formats.heapsnapshot.reader import is_heapsnapshot, read_heapsnapshot

        if is_heapsnapshot(head):
            return read_heapsnapshot(path)
        return AllocationProfile.load(path)
    return HeapSnapshot.load(path)


def export(
    value: object,
    path: str | os.PathLike[str],
    *,
    before: Iterable[HeapSnapshot] = (),
    max_nodes: int | None = None,
) -> int:
    """Write a value in the format that the suffix selects; return the file size in bytes.

    An `AllocationProfile`: ``.pb.gz`` (pprof), ``.speedscope.json``, ``.firefox.json`` (Firefox
    Profiler), ``.folded`` (flame graphs), ``.heapprofile`` (Chrome DevTools), ``.json`` (for
    `load`). A `HeapSnapshot`: ``.memlens``, ``.heapsnapshot`` (Chrome DevTools, memlab). A
    `TraceStore`: ``.traces``. A profile, a snapshot or a `LeakReport`: ``.html``, a report for a
    browser.

    Two options are for ``.heapsnapshot`` only. ``before``: earlier snapshots of the process, the
    earliest first. Then DevTools recognises every object in the files of all of them, and later
    objects by their greater ids; without it, about one in 2,000 of a million objects has another id
    in each file. ``max_nodes``: of a heap with more objects (2,000,000), those that retain least are
    summed up below their dominators.

    The file is complete or not there at all. Raises ``OptionError`` for another suffix, value or
    option, ``ComparisonError`` for earlier snapshots of another process, ``OutputError`` if the file
    cannot be written.
    """
    options: dict[str, Any] = {"before": earlier} if (earlier := _checked(before)) else {}
    options |= {} if max_nodes is None else {"max_nodes": max_nodes}
    for known, writers in _WRITERS:
        if isinstance(value, known):
            writer = _writer(known, writers, checked_path(path))
            if options and writer is not _heapsnapshot:
                raise OptionError(
                    f"{' and '.join(options)}: only for a HeapSnapshot as .heapsnapshot,"
                    f" not for {path!r}"
                )
            return writer(value, path, **options)
    kinds = ", ".join(known.__name__ for known, _ in _WRITERS)
    raise OptionError(f"cannot export a {type(value).__name__}: it must be one of {kinds}")


def _checked(before: Iterable[HeapSnapshot]) -> tuple[HeapSnapshot, ...]:
    if isinstance(before, HeapSnapshot):
        raise OptionError("before must be several snapshots: [snapshot]")
    snapshots = tuple(before)
    for snapshot in snapshots:
        if not isinstance(snapshot, HeapSnapshot):
            raise OptionError(f"before must be HeapSnapshots, not a {type(snapshot).__name__}")
    return snapshots


_Writer = Callable[..., int]  # of the value, the path and options


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


def _heapsnapshot(snapshot: HeapSnapshot, path: str | os.PathLike[str], **options: Any) -> int:
    from memlens.formats.heapsnapshot.writer import write_heapsnapshot

    return write_heapsnapshot(snapshot, path, **options)


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
    (
        HeapSnapshot,
        {
            ".memlens": HeapSnapshot.save,
            ".heapsnapshot": _heapsnapshot,
            ".html": HeapSnapshot.to_html,
        },
    ),
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
