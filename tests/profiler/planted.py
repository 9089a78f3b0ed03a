"""Profilers for tests."""

from __future__ import annotations

import memlens


def profiler_in(folder, **options):
    return memlens.MemoryProfiler(folder / "profiles", sample_interval=3600.0, **options)
