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
from memlens.profiler.profiler_report import ProfilerReport
from memlens.tables.process_columns import Columns

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
    table: str | None = None,
) -> int:
    """Write a value in the format that the suffix selects; return the file size in bytes.

    An `AllocationProfile`: ``.pb.gz`` (pprof), ``.speedscope.json``, ``.firefox.json`` (Firefox
    Profiler), ``.folded`` (flame graphs), ``.heapprofile`` (Chrome DevTools), ``.json`` (for
    `load`). A `HeapSnapshot`: ``.memlens``, ``.heapsnapshot`` (Chrome DevTools, memlab). A
    `TraceStore`: ``.traces``. A profile, a snapshot, a `LeakReport` or a `ProfilerReport`: ``.html``,
    a report for a browser, and ``.parquet``, rows for an engine that queries tables.

    ``table`` is for ``.parquet`` only. An `AllocationProfile` has ``allocations``; a `HeapSnapshot`
    ``types``, ``holders``, ``nodes`` or ``edges``; a `LeakReport` ``suspects`` or ``verdicts``; a
    `ProfilerReport` ``readings``, ``verdicts``, ``suspects`` or ``allocations``. The first is the
    default. The columns are described in docs/tables.md.

    Two options are for ``.heapsnapshot`` only. ``before``: earlier snapshots of the process, the
    earliest first. Then DevTools recognises every object in the files of all of them, and later
    objects by their greater ids; without it, about one in 2,000 of a million objects has another id
    in each file. ``max_nodes``: of a heap with more objects (2,000,000), those that retain least are
    summed up below their dominators.

    The file is complete or not there at all. Raises ``OptionError`` for another suffix, value or
    option, ``ComparisonError`` for earlier snapshots of another process, ``OutputError`` if the file
    cannot be written, ``MissingExtraError`` if Parquet needs ``pip install 'memlens[arrow]'``.
    """
    options: dict[str, Any] = {"before": earlier} if (earlier := _checked(before)) else {}
    options |= {} if max_nodes is None else {"max_nodes": max_nodes}
    options |= {} if table is None else {"table": table}
    for known, writers in _WRITERS:
        if isinstance(value, known):
            writer = _writer(known, writers, checked_path(path))
            _check_options(options, writer, path)
            return writer(value, path, **options)
    kinds = ", ".join(known.__name__ for known, _ in _WRITERS)
    raise OptionError(f"cannot export a {type(value).__name__}: it must be one of {kinds}")


def _check_options(options: Iterable[str], writer: _Writer, path: str | os.PathLike[str]) -> None:
    for name in options:
        is_for_parquet = name == "table"
        if writer is not (_parquet if is_for_parquet else _heapsnapshot):
            form = "a .parquet file" if is_for_parquet else "a HeapSnapshot as .heapsnapshot"
            raise OptionError(f"{name}: only for {form}, not for {path!r}")


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


def _parquet(value: Any, path: str | os.PathLike[str], table: str | None = None) -> int:
    from memlens.profiler.report_tables import REPORT_TABLES, report_columns
    from memlens.tables.parquet_file import TableWriter
    from memlens.tables.value_tables import TABLES_OF, chosen_table, process_of, table_batches

    batches: Iterable[Columns]
    if isinstance(value, ProfilerReport):
        chosen = chosen_table(table, REPORT_TABLES)
        batches = [report_columns(value, chosen.name)]
    else:
        choices = next(names for known, names in TABLES_OF.items() if isinstance(value, known))
        chosen = chosen_table(table, choices)
        batches = table_batches(value, chosen, process_of(value))
    with TableWriter(path, chosen) as writer:
        for columns in batches:
            writer.write(columns)
    return writer.size_bytes


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
            ".parquet": _parquet,
        },
    ),
    (
        HeapSnapshot,
        {
            ".memlens": HeapSnapshot.save,
            ".heapsnapshot": _heapsnapshot,
            ".html": HeapSnapshot.to_html,
            ".parquet": _parquet,
        },
    ),
    (LeakReport, {".html": LeakReport.to_html, ".parquet": _parquet}),
    (ProfilerReport, {".html": ProfilerReport.to_html, ".parquet": _parquet}),
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
