"""The profiler of this process. apps.py starts it."""

import os

import memlens

profiler = memlens.MemoryProfiler(
    os.environ.get("PROFILES", "memory-profiles"),
    snapshot_interval=1.0,  # for this example; leave it out
)
