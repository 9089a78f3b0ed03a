"""BlockResult: what a measured block or function did to the memory, as a value."""

from __future__ import annotations

from typing import Any, NamedTuple

from memlens._frame import printable, traced_as_ours
from memlens._text import (
    PLAIN_WIDTH,
    columns,
    format_bytes,
    format_change,
    format_duration,
    middle_cut,
)
from memlens.allocations.tracing.trace_table import TraceDifference

__all__ = ("BlockResult",)

_INTERRUPTED = (
    "tracing was switched off or cleared inside the block by other code: sizes are incomplete"
)
_OVERLAPPED = (
    "other measured blocks ran at the same time: tracing is process-wide, their memory is included"
)
_SUSPENDED = "lines include what other code allocated while this was suspended; sizes do not"


@traced_as_ours
class BlockResult(NamedTuple):
    """What one run of a block did to the traced memory of the process.

    - ``allocated_bytes``: the net change from start to end; negative where more was freed.
    - ``peak_bytes``: the highest that traced memory rose above its level at the start.
    - ``duration_seconds``: from the first instruction to the last, waiting included.
    - ``top``: the lines whose live memory grew most, largest growth first.
    - ``overlapped``: another block that was neither around nor within this one ran at the same time
      (in another thread, or interleaved in the same one); its memory cannot be told apart.
    - ``interrupted``: other code switched tracing off, or cleared it, inside the block; the sizes
      are what was seen until then.
    - ``tracing_was_on``: tracing was on already when the block began.
    - ``tracing_bytes``: what tracing itself used at the end, not part of the sizes above.
    - ``exception``: the name of the type of exception that ended the block, or None.
    - ``steps``: how often it ran: once, or for a generator or coroutine each time it was resumed.
      Its sizes are of its own steps, its ``top`` is of the whole process from start to end.

    Sizes are of the whole process: what threads that are not measured allocate meanwhile counts
    too. Memory that does not come from Python's allocators is not traced, and not in here.
    """

    name: str
    allocated_bytes: int
    peak_bytes: int
    duration_seconds: float
    top: tuple[TraceDifference, ...]
    overlapped: bool
    interrupted: bool
    tracing_was_on: bool
    tracing_bytes: int
    exception: str | None
    steps: int

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the numbers should know of how they came about."""
        notes = []
        if self.interrupted:
            notes.append(_INTERRUPTED)
        if self.overlapped:
            notes.append(_OVERLAPPED)
        if self.steps > 1 and self.top:
            notes.append(_SUSPENDED)
        return tuple(notes)

    def __str__(self) -> str:
        facts = (
            f": {format_change(self.allocated_bytes)} kept, {format_bytes(self.peak_bytes)} at the"
            f" peak, in {format_duration(self.duration_seconds)}"
        )
        if self.exception is not None:
            facts += f", raised {middle_cut(printable(self.exception), 30)}"
        lines = [middle_cut(printable(self.name), PLAIN_WIDTH - len(facts)) + facts]
        if self.top:
            lines.append(columns(("growth", "new blocks", "where"), self._cells(), indent="  "))
        lines.extend(f"  note: {note}" for note in self.notes)
        return "\n".join(lines)

    def _cells(self) -> list[tuple[str, str, str]]:
        return [
            (format_change(row.difference_bytes), f"{row.difference_count:+,}", str(row.frame))
            for row in self.top
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON-ready values."""
        plain: dict[str, Any] = self._asdict()
        plain["top"] = [row.to_dict() for row in self.top]
        plain["notes"] = list(self.notes)
        return plain
