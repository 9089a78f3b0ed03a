"""Health: whether memlens itself worked, and what it cost the program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from memlens._text import format_bytes, format_count, format_duration
from memlens.allocations.profile.profile_facts import ProfileFacts
from memlens.heap.snapshot import HeapSnapshot
from memlens.report.html.limits import cut_text, finite

__all__ = ("health_of",)


def health_of(
    health: Mapping[str, Any] | None, snapshots: Sequence[HeapSnapshot], facts: ProfileFacts | None
) -> list[dict[str, str]]:
    """Return a row for each part of memlens that was at work.

    ``health``: what `MemoryProfiler.health` returns.
    """
    rows = [] if health is None else list(_of_profiler(health))
    if snapshots:
        rows.append(_of_snapshots(snapshots))
    if facts is not None:
        rows.append(_of_profile(facts))
    return rows


def _row(label: str, value: str, state: str, text: str) -> dict[str, str]:
    return {"label": label, "value": cut_text(value), "state": state, "help": text}


def _number(values: Mapping[str, Any], name: str) -> int:
    number = finite(values.get(name))
    return 0 if number is None else int(number)


def _of_profiler(health: Mapping[str, Any]) -> list[dict[str, str]]:
    rows = [_of_sampler(health.get("sampler") or {})]
    allocations = health.get("allocations") or {}
    off = allocations.get("off_reason")
    if allocations.get("mode"):
        value = f"off: {off}" if off else f"on, {allocations['mode']}"
        failures = _number(allocations, "failures")
        state = "error" if failures else "warning" if off else "ok"
        text = "Whether allocations are sampled, so that suspects show their allocation sites."
        rows.append(_row("Allocation sampler", value, state, text))
    detectors = health.get("detectors") or {}
    if detectors:
        value = ", ".join(f"{series}: {state}" for series, state in detectors.items())
        text = "What the trend of the readings shows, for each series."
        rows.append(_row("Trend detectors", value, "ok", text))
    kept, size = _number(health, "snapshots_kept"), _number(health, "snapshot_bytes_kept")
    value = (
        f"{format_count(_number(health, 'snapshots_taken'))} taken, {format_count(kept)} kept"
        f" ({format_bytes(size)} on disk)"
    )
    rows.append(_row("Snapshots", value, "ok", "Heap snapshots of this process, on disk."))
    given, back = _number(health, "alerts"), _number(health, "alerts_withdrawn")
    value = f"{format_count(given)} given, {format_count(back)} withdrawn"
    rows.append(_row("Alerts", value, "ok", "Leaks that were reported while the program ran."))
    return [*rows, _of_failures(health)]


def _of_sampler(sampler: Mapping[str, Any]) -> dict[str, str]:
    errors, missed = _number(sampler, "errors"), _number(sampler, "missed_ticks")
    value = f"{format_count(_number(sampler, 'readings_taken'))} readings, {errors} errors"
    if missed:
        value += f", {format_count(missed)} missed"
    text = "Readings of the memory of the process; missed ones were due while the machine was busy."
    return _row("Sampler", value, "error" if errors else "ok", text)


def _of_failures(health: Mapping[str, Any]) -> dict[str, str]:
    failures, last = _number(health, "failures"), health.get("last_error")
    value = "none" if not failures else f"{format_count(failures)}, the last: {last}"
    text = "Work of the profiler that failed; it is never raised into the program."
    return _row("Failures", value, "error" if failures else "ok", text)


def _of_snapshots(snapshots: Sequence[HeapSnapshot]) -> dict[str, str]:
    pauses = [snapshot.pause_seconds for snapshot in snapshots]
    last = snapshots[-1].facts
    value = f"longest {format_duration(max(pauses))}, in all {format_duration(sum(pauses))}"
    core, mode = last.get("core"), last.get("mode")
    if isinstance(core, str) and isinstance(mode, str):
        value += f" ({core} core, {mode})"
    text = "How long the captures of the heap stopped the program."
    return _row("Pauses for snapshots", value, "ok", text)


def _of_profile(facts: ProfileFacts) -> dict[str, str]:
    exact = facts.source == "tracemalloc"
    value = "every allocation" if exact else f"one sample in {format_bytes(facts.interval_bytes)}"
    value = f"{facts.source}, {value}, {format_duration(facts.duration_seconds)}"
    state = "ok"
    if facts.dropped_samples:
        value += f", {format_count(facts.dropped_samples)} samples dropped"
        state = "warning"
    if facts.hooks_bypassed:
        value += ", the hooks were replaced by another tool"
        state = "error"
    text = "How allocations were profiled; dropped samples make estimates less precise."
    return _row("Allocation profile", value, state, text)
