"""The `MemoryProfiler` facade and the parts that it coordinates."""
