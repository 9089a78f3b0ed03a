"""Format allocation profiles as plain text: tables of call paths and an indented call tree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from memlens._frame import CallPath, Frame, printable
from memlens._table import columns
from memlens._text import (
    PLAIN_WIDTH,
    fitted,
    format_bytes,
    format_count,
    format_duration,
    middle_cut,
    text_width,
)
from memlens.allocations.profile.call_tree import CallNode
from memlens.allocations.profile.profile_facts import ProfileFacts
from memlens.allocations.profile.rows import AllocationRow, measure_of

__all__ = ("headline", "path_text", "table_text", "tree_text", "without_import_system")

LINE_FRAMES = 3  # the frames of a call path that fit in one line


def headline(total: AllocationRow, facts: ProfileFacts, untracked_bytes: int | None) -> str:
    """Return the live memory of a profile and what it does not cover, in a few lines."""
    every = f"one sample per {format_bytes(facts.interval_bytes)}"
    how = "tracemalloc" if facts.source == "tracemalloc" else every
    if facts.source == "sampling" and facts.interval_bytes == 1:
        how = "every block"
    lines = [
        f"{format_bytes(total.live_bytes)} ± {format_bytes(total.live_bytes_stderr)} live in "
        f"{format_count(round(total.live_count))} blocks after "
        f"{format_duration(facts.duration_seconds)} ({how})"
    ]
    if untracked_bytes is not None:
        lines.append(
            f"{format_bytes(untracked_bytes)} of RSS not explained: native buffers "
            "(numpy), blocks from before the start, the interpreter, free memory in allocators"
        )
    if facts.hooks_bypassed:
        lines.append("incomplete: another tool replaced the allocation hooks; call reset()")
    if not total.live_samples and not total.allocated_samples:
        lines.append("no samples: less memory was allocated than the sampling interval")
    return fitted("\n".join(lines))


def table_text(rows: list[AllocationRow], total: AllocationRow, by: str) -> str:
    """Return a table of rows, with shares of ``total`` by the measure ``by``.

    Below each line are its callers, innermost first, as many as fit in the width.
    """
    whole = measure_of(total, by) or 1.0
    rows_text: list[Sequence[str] | str] = []
    for row in rows:
        place, callers = _place(row.call_path)
        rows_text.append(
            (
                f"{100 * measure_of(row, by) / whole:.1f} %",
                format_bytes(row.live_bytes),
                format_bytes(row.live_bytes_stderr) + ("" if row.is_reliable else " ?"),
                format_count(round(row.live_count)),
                "" if row.allocated_bytes is None else format_bytes(row.allocated_bytes),
                "" if row.mean_age_seconds is None else format_duration(row.mean_age_seconds),
                place,
            )
        )
        rows_text += _callers_lines(callers)
    headers = ("share", "live", "± stderr", "blocks", "allocated", "age", "allocated at")
    optional = ("age", "blocks", "± stderr", "allocated")
    return columns(headers, rows_text, optional=optional, min_last=36)


def _place(path: CallPath) -> tuple[str, list[Frame]]:
    """Return the line that allocated, and its callers, innermost first.

    For an import this is the line with the ``import``, not a frame of the import system.
    """
    frames = list(reversed(path)) or [Frame("<all>", "", 0)]
    outside = [frame for frame in frames if not _imports(frame)]
    if _imports(frames[0]):
        return (f"import at {outside[0].short()}", outside[1:]) if outside else ("imports", [])
    return frames[0].short(), outside[1:]


def without_import_system(path: CallPath) -> CallPath:
    """Return a call path without the frames of the import system."""
    return tuple(frame for frame in path if not _imports(frame)) or path


def _imports(frame: Frame) -> bool:
    return frame.file.startswith("<frozen importlib")


def _callers_lines(callers: list[Frame]) -> list[str]:
    """Return the callers as at most one line.

    If they do not all fit, the line ends with the innermost caller in the program's own code.
    """
    if not callers:
        return []
    width = text_width()
    own = next((i for i, frame in enumerate(callers) if not _is_library(frame)), None)
    line = f"        from {callers[0].short()}"
    for number, frame in enumerate(callers[1:], 1):
        rest = _rest(callers, number + 1, own)
        if len(f"{line} <- {frame.short()}{rest}") > width:
            return [_first_and_own(line, _rest(callers, number, own), width)]
        line += f" <- {frame.short()}"
    return [middle_cut(line, width)]


def _first_and_own(line: str, rest: str, width: int) -> str:
    """Return the line of the first caller with the program's own caller; alone if there is no room."""
    own = rest.rpartition(" <- ")[2]
    if len(line + rest) <= width or own == "...":
        return middle_cut(line + rest, width)
    start = "        from ... <- "
    return start + middle_cut(own, max(width - len(start), 12))


def _rest(callers: list[Frame], begin: int, own: int | None) -> str:
    """Return the text that replaces the callers from number ``begin`` on."""
    if begin >= len(callers):
        return ""
    if own is None or own < begin:
        return " <- ..."
    return f" <- {'' if own == begin else '... <- '}{callers[own].short()}"


def _is_library(frame: Frame) -> bool:
    folders = frame.file.replace("\\", "/").split("/")
    libraries = ("site-packages", "dist-packages")
    return any(name in libraries or name.startswith("python3.") for name in folders[:-1])


def path_text(path: CallPath) -> str:
    """Return the innermost frames of a call path in one line, the frame that allocated first.

    Callers are shown by function name only, so that the line is short.
    """
    innermost, *callers = path[: -LINE_FRAMES - 1 : -1] or (Frame("<all>", "", 0),)
    shown = [
        innermost.short(),
        *(printable(f.function) if f.function else f.short() for f in callers),
    ]
    return " <- ".join(shown + ["..."] * (len(path) > LINE_FRAMES))


def tree_text(root: CallNode, by: str, min_percent: float) -> str:
    """Return the call tree as indented lines. Small branches are counted, not shown."""
    min_amount = root.total[by] * min_percent / 100
    return "\n".join(_lines(root, by, min_amount))


def _lines(root: CallNode, by: str, min_amount: float) -> Iterator[str]:
    stack = [(0, root)]
    width = text_width()
    deepest = 30 if width >= PLAIN_WIDTH else width // 4
    while stack:
        depth, node = stack.pop()
        indent = " " * min(2 * depth, 2 * deepest)
        start = f"{_amount(node.total[by], by):>10}  {indent}"
        yield start + middle_cut(node.frame.short(), max(width - len(start), 12))
        children = node.ordered_children(by)
        shown = [
            child for child in children if child.total[by] >= min_amount and child.total[by] > 0
        ]
        if len(shown) < len(children) and shown:
            yield f"{'':>10}  {indent}  ({len(children) - len(shown)} smaller)"
        stack.extend((depth + 1, child) for child in reversed(shown))


def _amount(value: float, by: str) -> str:
    return format_bytes(value) if by.endswith("bytes") else format_count(round(value))
