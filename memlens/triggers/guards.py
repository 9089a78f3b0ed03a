"""HeadroomGuard: lets a forked capture use only memory that the process can spare.

The child shares the heap with its parent until the parent writes to a page; then both have a copy.
So the child costs its own columns, plus what the program writes to meanwhile. In the same control
group both count, and above the limit the kernel kills somebody.
"""

from __future__ import annotations

from collections.abc import Callable

from memlens._text import format_bytes
from memlens.heap.capture.need import CaptureNeed, capture_need
from memlens.process.headroom import Headroom, HeadroomMeter
from memlens.process.limits import GIVEN
from memlens.triggers.protocol import Pace

__all__ = ("HeadroomGuard", "need_under")

_FLOOR_SHARE = 0.02  # of the limit: with less headroom the capture is ended
_MIN_FLOOR_BYTES = 8 << 20
_LEAST_NEED_SHARE = 0.6  # of the estimate, which is a high one: enough for what cannot wait
_HOLD_SHARE = 0.5  # of the headroom that was there at first, less what the child needs


class HeadroomGuard:
    """A `CaptureGuard` by the headroom under the limits of this process.

    ``is_urgent``: the program is about to reach a limit, so hold its threads from the beginning, and
    try with less than the estimated need: `pace` ends a capture that would use up the headroom.
    """

    def __init__(
        self,
        meter: HeadroomMeter,
        *,
        is_urgent: bool = False,
        need: Callable[[], CaptureNeed] = capture_need,
    ) -> None:
        self._meter = meter
        self._is_urgent = is_urgent
        self._estimate = need
        self._spare: dict[tuple[str, int], int] = {}

    def refusal(self) -> str | None:
        """Return why the capture would end the process: too little headroom; None otherwise."""
        need = self._estimate()
        for room in self._meter.measure():
            needed = need_under(room, need)
            if self._is_urgent:
                needed = int(_LEAST_NEED_SHARE * needed)
            if room.source != "rlimit-as" and room.free_bytes < needed:
                return f"a capture needs about {format_bytes(needed)}, and {room}"
            self._spare[room.source, room.limit_bytes] = room.free_bytes - needed
        return None

    def pace(self) -> Pace:
        """Hold the program while its headroom goes faster than the child can use it; then kill."""
        pace: Pace = "hold" if self._is_urgent else "run"
        for room in self._meter.measure():
            floor = max(_MIN_FLOOR_BYTES, int(_FLOOR_SHARE * room.limit_bytes))
            if room.source.startswith("cgroup") and room.free_bytes < floor:
                return "kill"
            spare = self._spare.get((room.source, room.limit_bytes))
            if spare is not None and room.free_bytes < max(floor, _HOLD_SHARE * spare):
                pace = "hold"
        return pace


def need_under(room: Headroom, need: CaptureNeed) -> int:
    """Return how much of this headroom a capture takes.

    The child has address space of its own, but under the same limit: as much must be left below it.
    A soft limit does not bind the child. A given limit is on the resident memory of the program.
    """
    if room.source == "rlimit-as":
        return 0 if _is_soft(room.limit_bytes) else need.address_bytes
    return 0 if room.source == GIVEN else need.resident_bytes


def _is_soft(limit_bytes: int) -> bool:
    """Tell whether the capturing child may raise this limit on the address space far enough."""
    import resource

    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    return hard == resource.RLIM_INFINITY or hard >= 2 * limit_bytes
