"""A snapshot before the process reaches the limit on its memory."""

from __future__ import annotations

import time
from collections.abc import Callable

from memlens._options import check_bytes, check_number, check_seconds
from memlens.heap.capture.need import CaptureNeed, capture_need
from memlens.process.headroom import Headroom, HeadroomMeter
from memlens.triggers.guards import HeadroomGuard, need_under
from memlens.triggers.protocol import Host
from memlens.triggers.ticker import Ticker
from memlens.triggers.turns import quick_turns

__all__ = ("BeforeLimit", "before_limit")

_FASTEST_LEAK = 1 << 30  # bytes a second that must not slip between two checks
_CAUTION = 2.0  # check before half of the headroom can be gone
_MIN_WAIT_SECONDS, _MAX_WAIT_SECONDS = 0.02, 1.0
_CHECK_SECONDS = 0.05  # from one check to the fork, in a busy program, beside the wait
_NEED_SECONDS = 0.02  # how often the need of a capture is estimated again, at the most,
_NEED_TIMES = 50.0  # and for how many times as long as that takes it is used
_PRESSURE_SECONDS = 1.0
_MARGIN = 1.1  # the need of a capture is an estimate
_HELD_SHARE = 0.2  # of the time of a capture, in which a held program runs on
_URGENT_TIMES = 6.0  # a busy machine captures several times as slowly as estimated
_MAX_LEAD_SHARE = 0.25  # of a limit, for what the program allocates during the capture
_REARM = 1.5  # times the headroom at which the trigger fires
_DECAY = 0.7


def before_limit(
    headroom: float = 0.1,
    *,
    limit: int | None = None,
    pressure: float | None = 0.3,
    min_seconds: float = 60.0,
) -> BeforeLimit:
    """Return a trigger that takes one snapshot before the process runs out of memory.

    ``headroom``: the share of a limit that is left when the snapshot is taken. It is taken earlier
    where the capturing child needs more than that (about 110 bytes for each allocated block of the
    program), or where memory rises so fast that the limit would be reached during the capture. The
    limits are those of the control group and all groups above it, of the address space, and of the
    machine while this process uses at least a quarter of what is in use there; ``limit`` adds one, in
    bytes of resident memory.

    ``pressure``: also take a snapshot if for this share of the last ten seconds every task of the
    control group waited for memory (``memory.pressure``, version 2). None: do not.

    There is no further snapshot until the headroom was half as large again, and none within
    ``min_seconds``. If the limit would be reached during the capture, the program is held up: its
    Python threads run for about a tenth of the time. The capture is ended where it would use up the
    headroom.

    Raises ``OptionError`` for an option that is not valid.
    """
    check_number("headroom", headroom, above=0.0)
    check_number("headroom", headroom, 0.0, 0.9)
    if limit is not None:
        check_bytes("limit", limit, 1)
    if pressure is not None:
        check_number("pressure", pressure, above=0.0)
    check_seconds("min_seconds", min_seconds, 0)
    return BeforeLimit(headroom, HeadroomMeter(given_bytes=limit), pressure, min_seconds)


class BeforeLimit:
    """The trigger of `before_limit`. ``clock`` returns monotonic seconds."""

    def __init__(
        self,
        headroom: float,
        meter: HeadroomMeter,
        pressure: float | None = None,
        min_seconds: float = 0.0,
        *,
        clock: Callable[[], float] = time.monotonic,
        need: Callable[[], CaptureNeed] = capture_need,
    ) -> None:
        self._headroom = headroom
        self._meter = meter
        self._max_pressure = pressure
        self._min_seconds = min_seconds
        self._clock = clock
        self._estimate = need
        self._host: Host | None = None
        self._ticker = Ticker("memlens-headroom", self.step, self._fail)
        self._forget()

    def _forget(self) -> None:
        self._meter.close()
        self._is_armed = self._is_pressure_armed = True
        self._next_need = self._next_pressure = float("-inf")
        self._need = CaptureNeed(0, 0, 0.0)
        self._last: dict[tuple[str, int], tuple[float, int]] = {}  # time and used bytes
        self._rate = 0.0  # bytes a second

    def __repr__(self) -> str:
        return f"before_limit({self._headroom:g})"

    def start(self, host: Host) -> None:
        """Start the thread that measures the headroom."""
        self._host = host
        if not self._ticker.is_running:
            self._forget()
            self._ticker.start()

    def stop(self) -> None:
        """End the thread."""
        self._host = None
        self._ticker.stop()

    def step(self) -> float:
        """Measure the headroom and take the snapshot that is due; return the seconds to wait."""
        with quick_turns():
            return self._wait_seconds(self._check())

    def _check(self) -> float:
        """Return how much more may be used until the snapshot is due; take it if it is."""
        now = self._clock()
        if now >= self._next_need:
            self._need = self._estimate()
            self._next_need = now + max(_NEED_SECONDS, _NEED_TIMES * (self._clock() - now))
        rooms = self._meter.measure()
        self._note_rate(now, rooms)
        margins = [(self._margin(room), room) for room in rooms]
        if margins:
            margin, room = min(margins, key=lambda pair: pair[0])
            if margin <= 0:
                self._reach(room)
            elif all(margin > (_REARM - 1.0) * self._wanted(room) for margin, room in margins):
                self._is_armed = True
        else:
            margin = float("inf")
        self._check_pressure(now)
        return margin

    def _wanted(self, room: Headroom) -> float:
        """Return the headroom in bytes at which the snapshot is due."""
        lead = self._rate * (_MIN_WAIT_SECONDS + _CHECK_SECONDS + _HELD_SHARE * self._need.seconds)
        least = max(self._headroom * room.limit_bytes, _MARGIN * need_under(room, self._need))
        return least + min(lead, _MAX_LEAD_SHARE * room.limit_bytes)

    def _margin(self, room: Headroom) -> float:
        return room.free_bytes - self._wanted(room)

    def _note_rate(self, now: float, rooms: tuple[Headroom, ...]) -> None:
        """Follow how fast memory rises: the fastest of late."""
        fastest = 0.0
        for room in rooms:
            key = room.source, room.limit_bytes
            at, used = self._last.get(key, (now, room.used_bytes))
            if now > at:
                fastest = max(fastest, (room.used_bytes - used) / (now - at))
            self._last[key] = now, room.used_bytes
        self._rate = max(fastest, self._rate * _DECAY)

    def _reach(self, room: Headroom) -> None:
        host = self._host
        if host is None or not self._is_armed or host.is_other_capturing():
            return  # of the processes of a container, one at a time
        self._is_armed = False
        spare = room.free_bytes - need_under(room, self._need)
        is_urgent = self._rate * self._need.seconds * _URGENT_TIMES > spare
        guard = HeadroomGuard(self._meter, is_urgent=is_urgent, need=lambda: self._need)
        host.fire_and_wait("limit", min_seconds=self._min_seconds, guard=guard)
        self._last.clear()  # what the child used is no growth of the program

    def _check_pressure(self, now: float) -> None:
        host = self._host
        if host is None or self._max_pressure is None or now < self._next_pressure:
            return
        self._next_pressure = now + _PRESSURE_SECONDS
        stalled = self._meter.stalled_share()
        if stalled is None:
            return
        if stalled < self._max_pressure / _REARM:
            self._is_pressure_armed = True
        elif stalled >= self._max_pressure and self._is_pressure_armed:
            self._is_pressure_armed = False
            guard = HeadroomGuard(self._meter, need=lambda: self._need)
            host.fire_and_wait("pressure", min_seconds=self._min_seconds, guard=guard)

    def _wait_seconds(self, margin: float) -> float:
        """Return how long the margin lasts at the least, within bounds."""
        if not self._is_armed:
            return _MAX_WAIT_SECONDS / 4
        seconds = margin / (_CAUTION * max(_FASTEST_LEAK, self._rate))
        return min(max(seconds, _MIN_WAIT_SECONDS), _MAX_WAIT_SECONDS)

    def _fail(self, error: BaseException) -> None:
        if self._host is not None:
            self._host.note_failure(f"{self!r} failed", error)
