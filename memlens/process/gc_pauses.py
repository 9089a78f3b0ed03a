"""How long the garbage collector stops the program, and the blocks in use after full collections.

What is in use right after a full collection is really held.

The measurement is a C function in ``gc.callbacks`` (`memlens._core._gc_pauses`): nothing in Python
runs at the end of a collection because of memlens. A callback in Python would let other threads run
there, up to CPython 3.11 in the middle of C code that is not prepared for it. Without the extension
the collections are only counted, by ``gc.get_stats``; pauses and blocks are unknown.
"""

from __future__ import annotations

import gc
import os
from typing import Protocol

__all__ = ("CountedGcPauses", "GcPauses", "MeasuredGcPauses", "new_gc_pauses")


class GcPauses(Protocol):
    """Counts the collections of this process between `start` and `stop`, and their pauses.

    Starting and stopping can be repeated; the numbers are added up until `clear`.
    """

    @property
    def count(self) -> int:
        """The number of collections."""

    @property
    def total_seconds(self) -> float | None:
        """The sum of their pauses; None if unknown."""

    @property
    def longest_seconds(self) -> float | None:
        """The longest pause; None if unknown."""

    def start(self) -> None:
        """Start counting. Does nothing if it counts already."""

    def stop(self) -> None:
        """Stop counting and keep the numbers. Does nothing if it does not count."""

    def clear(self) -> None:
        """Set all numbers to zero."""

    def take_clean_blocks(self) -> int | None:
        """Return the allocated blocks right after the last full collection, once; else None."""


class MeasuredGcPauses:
    """Counts and measures by an entry in ``gc.callbacks`` that is a C function.

    A pause lasts from the call of this entry at the start of the collection to its call at the end,
    so it contains the finalizers and the other callbacks that run in between. Raises ImportError
    where there is no C extension.
    """

    __slots__ = ("_callback", "_counter")

    def __init__(self) -> None:
        from memlens._core._gc_pauses import PauseCounter

        self._counter = PauseCounter()
        self._callback = self._counter.callback  # one object: gc.callbacks is searched for it

    @property
    def count(self) -> int:
        """The number of collections."""
        return self._counter.count

    @property
    def total_seconds(self) -> float:
        """The sum of their pauses."""
        return self._counter.total_seconds

    @property
    def longest_seconds(self) -> float:
        """The longest pause."""
        return self._counter.longest_seconds

    def start(self) -> None:
        """Start counting. Does nothing if it counts already."""
        if not any(known is self._callback for known in gc.callbacks):
            gc.callbacks.append(self._callback)

    def stop(self) -> None:
        """Stop counting; ``gc.callbacks`` is as it was. Does nothing if it does not count."""
        # By identity: list.remove would run the other callbacks' __eq__.
        for place, callback in enumerate(gc.callbacks):
            if callback is self._callback:
                del gc.callbacks[place]
                break

    def clear(self) -> None:
        """Set all numbers to zero."""
        self._counter.clear()

    def take_clean_blocks(self) -> int | None:
        """Return the allocated blocks right after the last full collection, once; else None."""
        return self._counter.take_clean_blocks()


class CountedGcPauses:
    """Counts collections by ``gc.get_stats``, where there is no C extension."""

    __slots__ = ("_counted", "_since")

    def __init__(self) -> None:
        self._counted = 0
        self._since: int | None = None  # collections of the process at the start

    @property
    def count(self) -> int:
        """The number of collections."""
        running = 0 if self._since is None else _collections() - self._since
        return self._counted + running

    @property
    def total_seconds(self) -> None:
        """Unknown."""
        return None

    @property
    def longest_seconds(self) -> None:
        """Unknown."""
        return None

    def start(self) -> None:
        """Start counting. Does nothing if it counts already."""
        if self._since is None:
            self._since = _collections()

    def stop(self) -> None:
        """Stop counting and keep the number. Does nothing if it does not count."""
        self._counted, self._since = self.count, None

    def clear(self) -> None:
        """Set the number to zero."""
        self._counted = 0
        if self._since is not None:
            self._since = _collections()

    def take_clean_blocks(self) -> int | None:
        """Return None: unknown."""
        return None


def new_gc_pauses() -> GcPauses:
    """Return a counter that measures pauses where the C extension is there."""
    if os.environ.get("MEMLENS_PURE") != "1":
        try:
            return MeasuredGcPauses()
        except (ImportError, UnicodeError):  # see _core/__init__.py
            pass  # not built: an install without a compiler
    return CountedGcPauses()


def _collections() -> int:
    return sum(generation["collections"] for generation in gc.get_stats())
