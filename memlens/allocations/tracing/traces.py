"""TracedMemory: the live traced memory of a process at one instant."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from memlens._display import displayed
from memlens._frame import CallPath, Frame, printable
from memlens._options import shown
from memlens._text import fitted, format_bytes
from memlens.allocations.options import GroupBy, check_group_by, check_limit
from memlens.allocations.tracing.filters import FileFilter
from memlens.allocations.tracing.trace_table import (
    Groups,
    TraceComparison,
    TraceStatistics,
    compare_groups,
    rank_groups,
)
from memlens.errors import ComparisonError, OptionError, TracingError

if TYPE_CHECKING:  # tracemalloc imports pickle, so it is imported only where it is used
    import tracemalloc

__all__ = (
    "RawFrame",
    "RawTrace",
    "TracedMemory",
    "compare_traces",
    "read_traces",
    "sizes_by",
    "sum_by_path",
)

# A trace as tracemalloc's C code stores it: domain, bytes, frames (file, line), innermost first,
# and the number of frames before truncation.
RawFrame = tuple[str, int]
RawTrace = tuple[int, int, tuple[RawFrame, ...], int]

_Key = TypeVar("_Key", bound=Hashable)


@displayed
class TracedMemory(NamedTuple):
    """The live traced memory at one instant: bytes and blocks of each call path.

    ``paths``, ``sizes_bytes`` and ``counts`` are columns of equal length with one entry for each
    call path. A path has the innermost frames of the call stack, at most ``frame_limit``.
    ``traced_bytes`` is the size of all traced memory, including what a filter removed from the
    columns. ``tracing_bytes`` is the memory that tracing itself used. ``taken_at`` is Unix time in
    seconds.
    """

    label: str
    taken_at: float
    pid: int
    python: str
    frame_limit: int
    traced_bytes: int
    tracing_bytes: int
    paths: tuple[CallPath, ...]
    sizes_bytes: tuple[int, ...]
    counts: tuple[int, ...]

    @property
    def total_bytes(self) -> int:
        """The bytes of all call paths in the columns."""
        return sum(self.sizes_bytes)

    @property
    def total_count(self) -> int:
        """The memory blocks of all call paths in the columns."""
        return sum(self.counts)

    def top(self, limit: int | None = 10, *, group_by: GroupBy = "line") -> TraceStatistics:
        """Return the ``limit`` largest lines, files or call paths (None: all), largest first.

        Raises ``OptionError`` for an unknown ``group_by`` and for a negative limit.
        """
        check_limit(limit)
        return TraceStatistics(rank_groups(self.group(group_by)), limit)

    def group(self, group_by: GroupBy = "line") -> Groups:
        """Return bytes and blocks of each group, by call path.

        The key has one frame when grouped by line or file, and all frames by traceback. A block
        belongs to the line and file of the frame that allocated it.
        """
        check_group_by(group_by)
        key_of = _GROUP_KEYS[group_by]
        groups: Groups = {}
        for path, size, count in zip(self.paths, self.sizes_bytes, self.counts, strict=True):
            key = key_of(path)
            known = groups.get(key)
            groups[key] = (size, count) if known is None else (known[0] + size, known[1] + count)
        return groups

    def filter(self, include: Sequence[str] = (), exclude: Sequence[str] = ()) -> TracedMemory:
        """Return the part whose allocating files match the patterns (see `TraceStore`).

        Raises ``OptionError`` if a pattern is not a string.
        """
        keeps = FileFilter(include, exclude, internal=True)
        kept = [i for i, path in enumerate(self.paths) if keeps(path[-1].file)]
        return self._replace(
            paths=tuple(self.paths[i] for i in kept),
            sizes_bytes=tuple(self.sizes_bytes[i] for i in kept),
            counts=tuple(self.counts[i] for i in kept),
        )

    def __repr__(self) -> str:
        label = f" {self.label!r}" if self.label else ""
        size = format_bytes(self.total_bytes)
        return f"<TracedMemory{label}: {len(self.paths)} call paths, {size}>"

    def __str__(self) -> str:
        name = f"traces {printable(self.label)}" if self.label else "traces"
        overhead = f"tracing itself uses {format_bytes(self.tracing_bytes)}"
        return fitted(f"{name}, {overhead}: {self.top()}")


def compare_traces(
    before: TracedMemory,
    after: TracedMemory,
    group_by: GroupBy = "line",
    limit: int | None = 10,
) -> TraceComparison:
    """Return the groups that changed between two captures, largest change first.

    ``limit`` is the maximum number of rows (None: all). Raises ``ComparisonError`` for tracebacks
    of different depths, ``OptionError`` for a bad option.
    """
    check_group_by(group_by)
    check_limit(limit)
    for name, memory in (("before", before), ("after", after)):
        if not isinstance(memory, TracedMemory):
            raise OptionError(f"{name} must be a TracedMemory; got {shown(memory)}")
    if group_by == "traceback" and before.frame_limit != after.frame_limit:
        raise ComparisonError(
            f"the captures keep {before.frame_limit} and {after.frame_limit} frames of a call path,"
            " so their tracebacks cannot be compared; group by 'line' or 'file'"
        )
    return TraceComparison(compare_groups(before.group(group_by), after.group(group_by)), limit)


def read_traces() -> Sequence[RawTrace]:
    """Return all traces of tracemalloc as plain tuples. Raises ``TracingError`` if it is off."""
    import tracemalloc

    try:
        traces = tracemalloc.take_snapshot().traces
    except RuntimeError as error:
        raise TracingError("tracing is off: start it before reading traces") from error
    # The public sequence creates two objects for each of possibly millions of traces.
    raw: Sequence[RawTrace] | None = getattr(traces, "_traces", None)
    if raw is None:
        raw = [(trace.domain, trace.size, _raw_frames(trace.traceback), 0) for trace in traces]
    return raw


def _raw_frames(traceback: tracemalloc.Traceback) -> tuple[RawFrame, ...]:
    return tuple((frame.filename, frame.lineno) for frame in reversed(traceback))


def sum_by_path(
    traces: Iterable[RawTrace], keeps: Callable[[str], bool]
) -> tuple[tuple[CallPath, ...], tuple[int, ...], tuple[int, ...]]:
    """Return call paths, bytes and blocks of the traces for whose file ``keeps`` is true."""
    sizes = sizes_by((trace[2], trace[1]) for trace in traces)
    kept = {frames: blocks for frames, blocks in sizes.items() if keeps(frames[0][0])}
    frame_of: dict[RawFrame, Frame] = {}
    paths = tuple(
        tuple(frame_of.setdefault(raw, Frame(None, *raw)) for raw in reversed(frames))
        for frames in kept
    )
    return paths, tuple(map(sum, kept.values())), tuple(map(len, kept.values()))


def sizes_by(pairs: Iterable[tuple[_Key, int]]) -> dict[_Key, list[int]]:
    """Return the list of block sizes of each key.

    Sums would be slow here: tracing is on, so each intermediate sum is a traced allocation, which
    costs thirty times the addition. C code counts and adds up the lists instead.
    """
    sizes: defaultdict[_Key, list[int]] = defaultdict(list)
    for key, size in pairs:
        sizes[key].append(size)
    return sizes


def _line_key(path: CallPath) -> CallPath:
    return path[-1:]


def _file_key(path: CallPath) -> CallPath:
    return (Frame(None, path[-1].file, 0),)


def _path_key(path: CallPath) -> CallPath:
    return path


_GROUP_KEYS: dict[str, Callable[[CallPath], CallPath]] = {
    "line": _line_key,
    "file": _file_key,
    "traceback": _path_key,
}
