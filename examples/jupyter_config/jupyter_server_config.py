"""Settings of a Jupyter server, for the folder ~/.jupyter: the server itself is profiled."""

import os

import memlens

profiler = memlens.MemoryProfiler(os.environ.get("PROFILES", "memory-profiles")).start()
