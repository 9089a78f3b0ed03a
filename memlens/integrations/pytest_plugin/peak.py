"""PeakMeasurement: by how much memory rises during a test.

``python`` is what tracemalloc traces: the blocks of Python's allocators, and what libraries such as
numpy report to it. It is exact, and the same in each run of the same code. ``resident`` is what the
kernel counts: all memory, in pages, so it is less exact and depends on what ran before.

Where a limit is set, the C sampler runs beside it, to tell which lines allocated most.
"""

from __future__ import annotations

from dataclasses import dataclass

from memlens._frame import Frame
from memlens._text import format_bytes
from memlens.allocations.blocks.measurement import BlockMeasurement
from memlens.allocations.profile.program_lines import ProgramLine
from memlens.allocations.profiler import AllocationProfiler
from memlens.errors import TracingError
from memlens.integrations.pytest_plugin.markers import MemoryLimit
from memlens.process.resident_peak import ResidentPeak

__all__ = ("MeasuredPeak", "PeakMeasurement", "excess_text")

_INTERVAL_BYTES = 4096  # of the sampler: lines that matter for a limit allocate much more
_MAX_LINES = 5
_MIN_SHARE = 0.02  # of what the largest line allocated


@dataclass(frozen=True, slots=True)
class MeasuredPeak:
    """The memory of one call of a test; sizes in bytes, relative to its start.

    ``resident_bytes``: None where it was not measured. ``is_complete``: False where the test itself
    stopped tracemalloc. ``lines``: what allocated most, whether it was freed or not.
    """

    peak_bytes: int
    kept_bytes: int
    resident_bytes: int | None
    is_complete: bool
    lines: tuple[ProgramLine, ...]

    def excess_over(self, limit: MemoryLimit) -> int:
        """Return by how many bytes the peak is above a limit; 0 where it is not, or not known."""
        if limit.measure == "resident":
            return max(0, (self.resident_bytes or 0) - limit.limit_bytes)
        return max(0, self.peak_bytes - limit.limit_bytes) if self.is_complete else 0


class PeakMeasurement:
    """Measures one call of a test, from `begin` to `end`.

    Raises ``ReadingError`` where the system does not tell the peak of resident memory.
    """

    def __init__(self, name: str, limit: MemoryLimit | None) -> None:
        self._is_resident = limit is not None and limit.measure == "resident"
        self._resident = ResidentPeak() if self._is_resident else None
        self._block = None
        if not self._is_resident:
            self._block = BlockMeasurement(name, limit=0, frames=1, collect=False)
        self._sampler = _started_sampler() if limit is not None else None

    def begin(self) -> None:
        """Start, right before the call."""
        if self._block is not None:
            self._block.__enter__()

    def end(self) -> MeasuredPeak:
        """Stop, right after the call, and return what was measured."""
        rise_bytes = self._resident.rise_bytes() if self._resident is not None else None
        peak_bytes = kept_bytes = 0
        is_complete = True
        if self._block is not None:
            self._block.__exit__()
        lines = _lines_of(self._sampler) if self._sampler is not None else ()
        if self._block is not None:
            block = self._block.finish()
            peak_bytes, kept_bytes = block.peak_bytes, block.allocated_bytes
            is_complete = not block.interrupted
        return MeasuredPeak(peak_bytes, kept_bytes, rise_bytes, is_complete, lines)


def excess_text(measured: MeasuredPeak, limit: MemoryLimit) -> str:
    """Say by how much a test is above its limit, and which lines allocated most."""
    peak_bytes = measured.peak_bytes
    what = "Python memory"
    if limit.measure == "resident":
        peak_bytes, what = measured.resident_bytes or 0, "resident memory"
    text = (
        f"{what} rose by {format_bytes(peak_bytes)}, the limit is {format_bytes(limit.limit_bytes)}"
    )
    if not measured.lines:
        return text
    rows = [
        f"  {format_bytes(line.allocated_bytes or 0)}  {Frame(line.function, line.file, line.line)}"
        for line in measured.lines
    ]
    return "\n".join([text, "allocated most, freed since or not:", *rows])


def _started_sampler() -> AllocationProfiler | None:
    """Return a running sampler; None where there is none, so that no lines are named."""
    try:
        sampler = AllocationProfiler(_INTERVAL_BYTES, backend="sampling", seed=1)
        sampler.start()
    except TracingError:
        return None
    return sampler


def _lines_of(sampler: AllocationProfiler) -> tuple[ProgramLine, ...]:
    lines = sampler.stop().lines("allocated_bytes")[:_MAX_LINES]
    largest = max((line.allocated_bytes or 0 for line in lines), default=0)
    return tuple(line for line in lines if (line.allocated_bytes or 0) >= _MIN_SHARE * largest)
