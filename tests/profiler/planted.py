"""Profilers for tests."""

from __future__ import annotations

import memlens


def profiler_in(folder, **options):
    """A profiler that does nothing by itself, but takes its first snapshot."""
    intervals = {"sample_interval": 3600.0, "snapshot_interval": 3600.0}
    return memlens.MemoryProfiler(folder / "profiles", **intervals | options)
