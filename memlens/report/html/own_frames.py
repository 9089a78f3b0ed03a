"""Profiles without the inside of memlens: what it allocates for itself is one row, one box."""

from __future__ import annotations

import os

from memlens._frame import CallPath, Frame, is_program_file
from memlens._package import CODE_FOLDER
from memlens.allocations.profile.allocation_profile import AllocationProfile

__all__ = ("OWN_FRAME", "without_own_frames")

OWN_FRAME = Frame("memlens itself", "", 0)
_FOR_THE_PROGRAM = tuple(os.path.join(CODE_FOLDER, name, "") for name in ("structures", "demo"))


def without_own_frames(profile: AllocationProfile) -> AllocationProfile:
    """Return a profile in which the calls inside memlens are one frame, `OWN_FRAME`.

    The calls with which memlens starts a program are left out. Containers of memlens.structures
    allocate for the program, so their calls are kept.
    """
    rows = [row._replace(call_path=_folded(row.call_path)) for row in profile.rows]
    return AllocationProfile(rows, profile.facts)


def _folded(path: CallPath) -> CallPath:
    own = [place for place, frame in enumerate(path) if _is_own(frame.file)]
    if not own:
        return path
    program = [place for place, frame in enumerate(path) if is_program_file(frame.file)]
    if not program:
        return (*path[: own[0]], OWN_FRAME)
    start = max((place + 1 for place in own if place < program[0]), default=0)
    inside = next((place for place in own if place > program[-1]), None)
    return path[start:] if inside is None else (*path[start:inside], OWN_FRAME)


def _is_own(file: str) -> bool:
    return file.startswith(CODE_FOLDER) and not file.startswith(_FOR_THE_PROGRAM)
