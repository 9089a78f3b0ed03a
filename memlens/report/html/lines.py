"""Own code, line by line: what the lines of the program's own files allocated.

Memory is counted at the innermost call of the program's own code, also where a library allocated it
on the program's behalf.
"""

from __future__ import annotations

from typing import Any

from memlens._frame import CallPath, Frame, is_library_file
from memlens._package import CODE_FOLDER
from memlens.allocations.profile.allocation_profile import AllocationProfile
from memlens.report.html.limits import Limits, cut_text
from memlens.report.html.source import SourceReader

__all__ = ("lines_of",)

_MAX_FILES = 20
_AROUND = 2  # lines without allocations before and after one that allocated, where source is read


def lines_of(
    profile: AllocationProfile, source: SourceReader, limits: Limits
) -> list[dict[str, Any]]:
    """Return the files of the program with most live bytes, each with the lines that allocated."""
    files: dict[str, dict[int, list[float]]] = {}
    for row in profile.rows:
        place = _own_place(row.call_path)
        if place is not None and place.line > 0:
            sums = files.setdefault(place.file, {}).setdefault(place.line, [0.0, 0.0])
            sums[0] += row.live_bytes
            sums[1] += row.allocated_bytes or 0.0
    ranked = sorted(files.items(), key=lambda item: -_weight(item[1]))[:_MAX_FILES]
    room, found = limits.rows, []
    for file, lines in ranked:
        if room <= 0:
            break
        rows = _rows(file, lines, source, room)
        room -= len(rows)
        found.append({"file": cut_text(file, limits.text), "first_line": rows[0][0], "rows": rows})
    return found


def _own_place(path: CallPath) -> Frame | None:
    for frame in reversed(path):
        is_foreign = is_library_file(frame.file) or frame.file.startswith((CODE_FOLDER, "<"))
        if frame.file and not is_foreign:
            return frame
    return None


def _weight(lines: dict[int, list[float]]) -> float:
    return sum(max(live, allocated) for live, allocated in lines.values())


def _rows(
    file: str, lines: dict[int, list[float]], source: SourceReader, room: int
) -> list[list[Any]]:
    """Return the heaviest lines by number, with those around them where the source is read."""
    heaviest = sorted(lines, key=lambda line: -max(lines[line]))[:room]
    shown = set(heaviest)
    for line in heaviest:
        for other in range(line - _AROUND, line + _AROUND + 1):
            if len(shown) < room and source.line(file, other) is not None:
                shown.add(other)
    nothing = [0.0, 0.0]
    return [
        [line, *(round(size) for size in lines.get(line, nothing)), source.line(file, line)]
        for line in sorted(shown)
    ]
