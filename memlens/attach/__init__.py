"""Ask a running process: for a heap snapshot, for its stacks, to start or stop a profiler.

Behind ``python -m memlens dump``, ``attach``, ``stacks`` and ``report PID``.
"""
