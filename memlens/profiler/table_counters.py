"""TableCounters: what a profiler has written to tables, for `MemoryProfiler.health`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ("TableCounters",)


@dataclass(slots=True)
class TableCounters:
    """Counts since the start of the process.

    ``written``: how often all was written. ``left_to_child``: how often a child had not finished at
    the end. ``last_seconds`` and ``last_peak_bytes``: how long the last child took, and its resident
    memory.
    """

    written: int = 0
    rows_written: int = 0
    files_written: int = 0
    bytes_written: int = 0
    left_to_child: int = 0
    last_seconds: float | None = None
    last_peak_bytes: int | None = None

    def add(self, value: Mapping[str, Any]) -> None:
        """Add a line of the child: a table that it has written, or what it took."""
        self.rows_written += value.get("rows", 0)
        self.files_written += value.get("files", 0)
        self.bytes_written += value.get("bytes", 0)
        self.last_seconds = value.get("seconds", self.last_seconds)
        self.last_peak_bytes = value.get("peak_bytes", self.last_peak_bytes)

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as JSON-ready values."""
        return asdict(self)
