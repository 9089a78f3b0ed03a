"""The profiler that ``memlens attach`` has started in this process."""

from __future__ import annotations

from typing import Any

from memlens.errors import AttachError
from memlens.profiler.memory_profiler import MemoryProfiler

__all__ = ("start", "stop")

_profiler: MemoryProfiler | None = None


def start(output_dir: str) -> dict[str, Any]:
    """Start a profiler that writes to a folder, unless an attached one runs; return its folder.

    Raises ``OutputError`` if the folder cannot be written.
    """
    global _profiler
    was_running = _profiler is not None and _profiler.is_running
    if _profiler is None or not was_running:
        _profiler = MemoryProfiler(output_dir)
        _profiler.may_be_stopped = True
        _profiler.start()
    return {"output_dir": _profiler.output_dir, "was_running": was_running}


def stop() -> dict[str, Any]:
    """Stop the attached profiler; return its folder. Raises ``AttachError`` if none runs."""
    global _profiler
    profiler, _profiler = _profiler, None
    if profiler is None or not profiler.is_running:
        raise AttachError("no profiler that attach started runs in this process")
    profiler.stop("stop")
    return {"output_dir": profiler.output_dir}
