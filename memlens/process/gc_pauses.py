"""How long the garbage collector stops the program, measured through ``gc.callbacks``.

And how many blocks are in use right after a full collection: what is left then is really held.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable

__all__ = ("GcPauseHook", "GcPauses")


class GcPauses:
    """Totals of the collections' pauses: how many, seconds together, the longest one's seconds."""

    __slots__ = ("_clean_blocks", "count", "longest_seconds", "total_seconds")

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Begin anew."""
        self.count = 0
        self.total_seconds = 0.0
        self.longest_seconds = 0.0
        self._clean_blocks: int | None = None

    def take_clean_blocks(self) -> int | None:
        """Return the live blocks right after the last full collection, once; else None."""
        blocks, self._clean_blocks = self._clean_blocks, None
        return blocks

    def note_clean_blocks(self, blocks: int) -> None:
        """Keep the number of live blocks right after a full collection."""
        self._clean_blocks = blocks

    def add(self, seconds: float) -> None:
        """Count one pause."""
        self.count += 1
        self.total_seconds += seconds
        if seconds > self.longest_seconds:
            self.longest_seconds = seconds


class GcPauseHook:
    """One entry in ``gc.callbacks``, there only while somebody subscribes to it.

    Collections do not nest and do not run at the same time in two threads, so one start time is
    enough. A pause runs from this hook's "start" to its "stop" call: the collection with the
    finalizers that it runs, and the other callbacks in between.
    """

    __slots__ = ("_clock", "_started", "_subscribers")

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._started: float | None = None
        # A tuple that is replaced, never changed: a collection may begin at any moment.
        self._subscribers: tuple[GcPauses, ...] = ()

    def __call__(self, phase: str, info: dict[str, int]) -> None:
        """Be told by the collector that a collection starts or stops."""
        if phase == "start":
            self._started = self._clock()
        elif self._started is not None:  # None: subscribed while a collection was running
            seconds = self._clock() - self._started
            self._started = None
            for pauses in self._subscribers:
                pauses.add(seconds)
        if phase == "stop" and info.get("generation") == 2 and self._subscribers:
            blocks = sys.getallocatedblocks()
            for pauses in self._subscribers:
                pauses.note_clean_blocks(blocks)

    def subscribe(self, pauses: GcPauses) -> None:
        """Count pauses in these totals from now on."""
        if not any(known is pauses for known in self._subscribers):
            self._subscribers = (*self._subscribers, pauses)
        if not any(callback is self for callback in gc.callbacks):
            self._started = None
            gc.callbacks.append(self)

    def unsubscribe(self, pauses: GcPauses) -> None:
        """Count no more in these totals; after the last ones ``gc.callbacks`` is as it was."""
        self._subscribers = tuple(known for known in self._subscribers if known is not pauses)
        if not self._subscribers:
            # By identity: list.remove would run the other callbacks' __eq__.
            for place, callback in enumerate(gc.callbacks):
                if callback is self:
                    del gc.callbacks[place]
                    break
