"""BlockResult: how one run of a block or function changed the memory."""

from __future__ import annotations

from typing import Any, NamedTuple

from memlens._display import displayed
from memlens._frame import printable, traced_as_ours
from memlens._table import columns
from memlens._text import (
    fitted,
    format_bytes,
    format_change,
    format_duration,
    middle_cut,
    text_width,
)
from memlens.allocations.tracing.trace_table import TraceDifference

__all__ = ("BlockResult",)

_INTERRUPTED = (
    "other code stopped tracing or cleared the traces inside the block: sizes are incomplete"
)
_OVERLAPPED = (
    "other measured blocks ran at the same time: their memory is included, tracing is process-wide"
)
_SUSPENDED = "lines, unlike sizes, include what other code allocated while this was suspended"


@displayed
@traced_as_ours
class BlockResult(NamedTuple):
    """The change of the traced memory of the process during one run of a block.

    - ``allocated_bytes``: the net change from start to end; negative if more was freed.
    - ``peak_bytes``: the maximum of traced memory, relative to its level at the start.
    - ``duration_seconds``: the time from start to end, waiting included.
    - ``lines``: the lines whose live memory grew most, largest growth first. The call path of each
      ends with the line that allocated; before it is the program's line, if a library allocated.
    - ``overlapped``: another block ran at the same time that neither contains this one nor is
      contained in it (in another thread, or interleaved in this thread). Its memory is included.
    - ``interrupted``: other code stopped tracing or cleared the traces inside the block. The sizes
      are those until then.
    - ``tracing_was_on``: tracing was on before the block started.
    - ``tracing_bytes``: the memory that tracing itself used at the end; not part of other sizes.
    - ``exception``: the name of the type of the exception that ended the block, or None.
    - ``steps``: how often the code ran: once, or each time a generator or coroutine was resumed.
      Sizes are those of its own steps; ``lines`` covers the whole process from start to end.

    Sizes are those of the whole process, so allocations of threads that are not measured count.
    Memory that does not come from Python's allocators is not traced and not included.
    """

    name: str
    allocated_bytes: int
    peak_bytes: int
    duration_seconds: float
    lines: tuple[TraceDifference, ...]
    overlapped: bool
    interrupted: bool
    tracing_was_on: bool
    tracing_bytes: int
    exception: str | None
    steps: int

    @property
    def notes(self) -> tuple[str, ...]:
        """Limitations of the numbers, as sentences."""
        notes = []
        if self.interrupted:
            notes.append(_INTERRUPTED)
        if self.overlapped:
            notes.append(_OVERLAPPED)
        if self.steps > 1 and self.lines:
            notes.append(_SUSPENDED)
        return tuple(notes)

    def __str__(self) -> str:
        facts = (
            f": {format_change(self.allocated_bytes)} kept, {format_bytes(self.peak_bytes)} at the"
            f" peak, in {format_duration(self.duration_seconds)}"
        )
        if self.exception is not None:
            facts += f", raised {middle_cut(printable(self.exception), 30)}"
        lines = [middle_cut(printable(self.name), max(text_width() - len(facts), 12)) + facts]
        if self.lines:
            lines.append(columns(("growth", "new blocks", "where"), self.cells(), indent="  "))
        lines.extend(f"  note: {note}" for note in self.notes)
        return fitted("\n".join(lines))

    def __repr__(self) -> str:
        change = format_change(self.allocated_bytes)
        return f"<BlockResult {printable(self.name)!r}: {change}, peak {format_bytes(self.peak_bytes)}>"

    def cells(self) -> list[tuple[str, str, str]]:
        """Return the texts of the lines: growth, new blocks and where."""
        cells = []
        for row in self.lines:
            growth, blocks = format_change(row.difference_bytes), f"{row.difference_count:+,}"
            cells.append((growth, blocks, str(row.frame)))
            cells += [("", "", f"  from {frame}") for frame in reversed(row.call_path[:-1])]
        return cells

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON-ready values."""
        plain: dict[str, Any] = self._asdict()
        plain["lines"] = [row.to_dict() for row in self.lines]
        plain["notes"] = list(self.notes)
        return plain
