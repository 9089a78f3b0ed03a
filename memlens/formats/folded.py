"""Allocation profiles as folded stacks: one line ``outer;inner;innermost 1234`` per call path.

The format of ``flamegraph.pl`` (https://github.com/brendangregg/FlameGraph), which inferno and most
flame graph viewers read.
"""

from __future__ import annotations

from memlens._frame import Frame
from memlens.allocations.profile.allocation_profile import AllocationProfile
from memlens.allocations.profile.rows import check_measure, measure_of

__all__ = ("folded_text",)


def folded_text(profile: AllocationProfile, by: str = "live_bytes") -> str:
    """Return one line for each call path with a positive value of the measure ``by``.

    A frame is written as ``function (file:line)``. Semicolons separate frames, so a semicolon in a
    name becomes a comma. Raises OptionError for an unknown measure.
    """
    check_measure(by)
    lines = []
    for row in profile.by_call_path():
        amount = round(measure_of(row, by))
        if amount > 0:
            lines.append(f"{';'.join(map(_frame, row.call_path))} {amount}\n")
    return "".join(sorted(lines))


def _frame(frame: Frame) -> str:
    return str(frame).replace(";", ",")
