"""The data document of a report: all its parts, within a budget of bytes.

The document has the same form however large the heap is. Where it is too large all the same, because
names are long, its pictures and tables are made again with half as many nodes and rows.
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from memlens.allocations.profile.allocation_profile import AllocationProfile
from memlens.errors import ComparisonError
from memlens.heap.snapshot import HeapSnapshot
from memlens.leaks.leak_report import LeakReport
from memlens.process.detector.alert import DetectorReport
from memlens.process.history import HistoryPoint, Mark
from memlens.process.memory_breakdown import MemoryBreakdown
from memlens.report.html.breakdown import breakdown_of, unknown_parts
from memlens.report.html.flame import flame_of
from memlens.report.html.glossary import GLOSSARY
from memlens.report.html.health import health_of
from memlens.report.html.limits import Limits, cut_text
from memlens.report.html.lines import lines_of
from memlens.report.html.own_frames import without_own_frames
from memlens.report.html.released import released_text, shown_snapshots
from memlens.report.html.source import SourceReader
from memlens.report.html.suspects import suspects_of
from memlens.report.html.tables import comparison_table, profile_table, snapshot_tables
from memlens.report.html.timeline import points_of_snapshots, timeline_of
from memlens.report.html.treemap import treemap_of
from memlens.report.html.verdict import Headroom, verdict_of

__all__ = ("FORMAT", "Inputs", "document_of", "document_text", "verdict_of_inputs")

FORMAT = 1
_MAX_HALVINGS = 8
_MAX_MISSING = 50


@dataclass(frozen=True, slots=True)
class Inputs:
    """The values that a report presents; everything may be missing.

    ``snapshots``: of one process, by time. ``earlier_profiles``: those before ``allocations``.
    ``history``: points of memory over time. ``health``: what `MemoryProfiler.health` returns.
    ``pid`` and ``command`` are those of the process, where they are not those of the snapshots or the
    profile; ``seconds`` is how long it was observed. ``limit_bytes``: the limit on resident memory
    that the user set, if not that of the system.
    ``reads_source``: whether source files may be read. ``notes``: further sentences about what is
    missing.
    """

    snapshots: Sequence[HeapSnapshot] = ()
    leaks: LeakReport | None = None
    allocations: AllocationProfile | None = None
    earlier_profiles: Sequence[AllocationProfile] = ()
    history: Sequence[HistoryPoint] = ()
    marks: Sequence[Mark] = ()
    detectors: Sequence[DetectorReport] = ()
    withdrawn: Sequence[LeakReport] = ()
    breakdown: MemoryBreakdown | None = None
    health: dict[str, Any] | None = None
    pid: int | None = None
    command: str | None = None
    seconds: float | None = None
    limit_bytes: int | None = None
    reads_source: bool = False
    notes: Sequence[str] = ()


def document_text(inputs: Inputs, max_bytes: int, made_at: float | None = None) -> str:
    """Return the data document as ASCII text of JSON, of at most ``max_bytes``.

    Characters that would end a script in HTML are escaped. ``made_at``: seconds since the epoch, now
    by default.
    """
    limits = Limits()
    for _ in range(_MAX_HALVINGS):
        document = document_of(inputs, limits, made_at)
        text = _escaped(document)
        if len(text) <= max_bytes:
            break
        limits = limits.halved()
    return text


def document_of(
    inputs: Inputs, limits: Limits | None = None, made_at: float | None = None
) -> dict[str, Any]:
    """Return the data document as JSON-ready values."""
    most = limits or Limits()
    snapshots, profile = inputs.snapshots, inputs.allocations
    source = SourceReader(inputs.reads_source)
    shown = shown_snapshots(snapshots, inputs.leaks)
    last = shown[-1] if shown else None
    first_time = snapshots[0].timestamp if len(snapshots) > 1 else None
    tables, notes = _tables(inputs, shown, most)
    document: dict[str, Any] = {
        "format": FORMAT,
        "memlens": _version(),
        "title": _title(inputs),
        "made_at": time.time() if made_at is None else made_at,
        "process": _process(inputs),
        "verdict": verdict_of_inputs(inputs, most),
        "timeline": timeline_of(
            inputs.history, snapshots, inputs.marks, most, limit_bytes=inputs.limit_bytes
        ),
        "suspects": []
        if inputs.leaks is None
        else suspects_of(inputs.leaks, source, most, first_time),
        "flames": _flames(inputs, most),
        "treemap": None if last is None else treemap_of(last, most),
        "tables": tables,
        "lines": [] if profile is None else lines_of(profile, source, most),
        "breakdown": None if inputs.breakdown is None else breakdown_of(inputs.breakdown),
        "health": health_of(inputs.health, snapshots, None if profile is None else profile.facts),
        "glossary": GLOSSARY,
    }
    if len(shown) < len(snapshots):
        document["verdict"]["details"].insert(0, released_text(shown))
    missing = [*_missing(document, inputs), *notes, *inputs.notes]
    document["missing"] = [cut_text(text) for text in dict.fromkeys(missing)][:_MAX_MISSING]
    return document


def verdict_of_inputs(inputs: Inputs, limits: Limits | None = None) -> dict[str, Any]:
    """Return the verdict of a report."""
    return verdict_of(
        inputs.leaks,
        detectors=inputs.detectors,
        headroom=_headroom(inputs),
        withdrawn=inputs.withdrawn,
        snapshots=inputs.snapshots,
        allocations=inputs.allocations,
        limits=limits,
    )


def _flames(inputs: Inputs, limits: Limits) -> list[dict[str, Any]]:
    """Return the flame graphs of all profiles, the newest first; they share the budget of nodes."""
    last = inputs.allocations
    profiles = [] if last is None else [last, *reversed(inputs.earlier_profiles)]
    share = replace(limits, nodes=max(2, limits.nodes // max(1, len(profiles))))
    flames = []
    for number, profile in enumerate(profiles, start=1):
        flame = flame_of(without_own_frames(profile), share)
        if flame is not None and len(profiles) > 1:
            began = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(profile.facts.started_at))
            flame["key"] += f"-{number}"
            flame["label"] += f", profile since {began} UTC"
        flames += [] if flame is None else [flame]
    return flames


def _escaped(document: dict[str, Any]) -> str:
    text = json.dumps(document, separators=(",", ":"), allow_nan=False)  # ASCII
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _version() -> str:
    from memlens import __version__

    return __version__


# -- the process -----------------------------------------------------------------------------------


def _pid(inputs: Inputs) -> int | None:
    if inputs.pid is not None:
        return inputs.pid
    if inputs.snapshots:
        return inputs.snapshots[-1].pid
    if inputs.leaks is not None:
        return inputs.leaks.pid
    return None if inputs.allocations is None else inputs.allocations.facts.pid


def _title(inputs: Inputs) -> str:
    pid = _pid(inputs)
    who = [inputs.command] if inputs.command else []
    who += [] if pid is None else [f"process {pid}"]
    return cut_text(f"Memory report: {', '.join(who)}" if who else "Memory report")


def _process(inputs: Inputs) -> dict[str, Any]:
    snapshots, profile = inputs.snapshots, inputs.allocations
    facts = snapshots[-1].facts if snapshots else {}
    python, system = facts.get("python"), facts.get("platform")
    if python is None and profile is not None:
        python = profile.facts.python
    pid = _pid(inputs)
    if pid == os.getpid():
        python, system = python or platform.python_version(), platform.platform(terse=True)
    return {
        "pid": pid,
        "command": None if inputs.command is None else cut_text(inputs.command),
        "python": None if python is None else cut_text(python),
        "platform": None if system is None else cut_text(system),
        "seconds": _seconds(inputs),
    }


def _seconds(inputs: Inputs) -> float | None:
    if inputs.seconds is not None:
        return inputs.seconds
    if len(inputs.snapshots) > 1:
        return inputs.snapshots[-1].timestamp - inputs.snapshots[0].timestamp
    if inputs.leaks is not None:
        return inputs.leaks.seconds
    return None if inputs.allocations is None else inputs.allocations.facts.duration_seconds


def _headroom(inputs: Inputs) -> Headroom | None:
    """Return resident memory and its limit at the last instant for which both are known."""
    known = inputs.limit_bytes
    points = [(point.rss_bytes, point.limit_bytes) for point in inputs.history[-1:]]
    for rss, limit in [*points, *reversed(points_of_snapshots(inputs.snapshots))]:
        limit = limit if known is None else known
        if rss is not None and limit is not None:
            return Headroom(rss, limit)
    return None


# -- tables, and what is missing -------------------------------------------------------------------


def _tables(
    inputs: Inputs, snapshots: Sequence[HeapSnapshot], limits: Limits
) -> tuple[list[dict[str, Any]], list[str]]:
    tables: list[dict[str, Any]] = []
    notes: list[str] = []
    if len(snapshots) > 1:
        try:
            comparison = snapshots[0].compare(snapshots[-1])
        except ComparisonError as error:
            notes.append(f"Comparison: {error}.")
        else:
            tables.append(comparison_table(comparison, limits))
    if snapshots:
        found, notes_of_last = snapshot_tables(snapshots[-1], limits)
        tables, notes = tables + found, notes + notes_of_last
    if inputs.allocations is not None and inputs.allocations.rows:
        tables.append(profile_table(without_own_frames(inputs.allocations), limits))
    return tables, notes


def _missing(document: dict[str, Any], inputs: Inputs) -> list[str]:
    """Return a sentence for each part that the report does not have, with what would give it."""
    sentences = []
    if document["timeline"] is None:
        sentences.append(
            "Memory over time: there are no readings; a MemoryProfiler takes them while it runs."
        )
    if inputs.leaks is None:
        sentences.append(
            "Suspects: a leak shows between snapshots; take three or more of one process."
        )
    if inputs.allocations is None:
        sentences.append(
            "Allocations by call path: allocations were not profiled; use"
            ' MemoryProfiler(allocations="sampling") or an AllocationProfiler.'
        )
    elif not inputs.allocations.rows:
        sentences.append("Allocations by call path: the profile has no samples.")
    if not inputs.snapshots:
        sentences.append("Objects of the heap: no heap snapshot was given.")
    elif len(inputs.snapshots) == 1:
        sentences.append("Comparison: it needs two snapshots of one process.")
    if inputs.breakdown is None:
        sentences.append(
            "Breakdown of resident memory: it is known only of a running process, to its own"
            " MemoryProfiler."
        )
    else:
        sentences += unknown_parts(inputs.breakdown)
    if not inputs.reads_source and document["suspects"]:
        sentences.append("Source lines: they are read only with --source, or source=True.")
    return sentences
