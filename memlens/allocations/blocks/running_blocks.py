"""The measured blocks that run now, and how they share one peak.

tracemalloc keeps a single peak for the process, and `reset_peak` forgets it for everybody. So each
time a block begins, the peak so far is first folded into every block that runs; when one ends, the
peak since the last reset belongs to all that run, for none of them began later than that reset.

What memlens itself allocates for a block (its table of lines, for the time that it runs) is not the
program's: `settle` takes it out of all readings.

A program that traces by itself has a peak of its own, which must survive our resets: it is folded
like a block's and put back whenever nothing of ours runs.
"""

from __future__ import annotations

import os
import threading

from memlens.allocations.tracing.ownership import TracingLease, tracing_is_borrowed
from memlens.allocations.tracing.peak import raise_peak

__all__ = ("RunningBlock", "RunningBlocks", "running_blocks")


class RunningBlock:
    """The readings of one block. It runs from each `RunningBlocks.enter` to the next ``leave``.

    ``net_bytes`` and ``peak_bytes`` are relative to the level at which it began. ``key`` says what
    is measured, to recognise recursion.
    """

    __slots__ = (
        "base_bytes",
        "high_bytes",
        "interrupted",
        "key",
        "lease",
        "net_bytes",
        "overlapped",
        "peak_bytes",
        "thread",
    )

    def __init__(self, lease: TracingLease, key: object) -> None:
        self.lease = lease
        self.key = key
        self.thread = 0
        self.net_bytes = self.peak_bytes = 0
        self.base_bytes = self.high_bytes = 0  # absolute, of the step that runs
        self.overlapped = self.interrupted = False

    def fold(self, high_bytes: int) -> None:
        """Take note that traced memory was at ``high_bytes`` at some time in this step."""
        if self.lease.intact:
            self.high_bytes = max(self.high_bytes, high_bytes)
        else:
            self.interrupted = True  # the reading is of another session, or of none

    def end_step(self, current_bytes: int) -> None:
        """Add the step that ends at ``current_bytes`` to the readings."""
        self.peak_bytes = max(self.peak_bytes, self.net_bytes + self.high_bytes - self.base_bytes)
        if not self.interrupted:
            self.net_bytes += current_bytes - self.base_bytes


class RunningBlocks:
    """All blocks of the process that run now."""

    def __init__(self) -> None:
        # Re-entrant: a finaliser that runs inside may itself be measured. Held for a few
        # instructions at a time, never while traces are read.
        self._lock = threading.RLock()
        self._blocks: list[RunningBlock] = []
        self._own_bytes = 0
        self._outside_peak = 0

    def is_running(self, key: object) -> bool:
        """Tell whether a block with this key runs in this thread."""
        thread = threading.get_ident()
        return any(block.key is key and block.thread == thread for block in tuple(self._blocks))

    def enter(self, block: RunningBlock) -> None:
        """Begin a step of ``block`` in this thread."""
        import tracemalloc

        with self._lock:
            self._fold_all()
            block.thread = threading.get_ident()
            for other in self._blocks:
                if other.thread != block.thread:
                    other.overlapped = block.overlapped = True
            self._blocks.append(block)
            tracemalloc.reset_peak()
            current_bytes, _ = tracemalloc.get_traced_memory()
            block.base_bytes = block.high_bytes = current_bytes - self._own_bytes

    def leave(self, block: RunningBlock) -> None:
        """End the step of ``block``."""
        with self._lock:
            current_bytes = self._fold_all()
            if block in self._blocks:  # a fork may have dropped it
                position = self._blocks.index(block)
                for later in self._blocks[position + 1 :]:
                    if later.thread == block.thread:  # tasks that interleave in one thread
                        later.overlapped = block.overlapped = True
                del self._blocks[position]
            block.end_step(current_bytes)
            self._put_back_outside_peak()

    def checkpoint(self) -> None:
        """Fold the peak so far: before work of our own, which `settle` takes out again."""
        with self._lock:
            self._fold_all()

    def settle(self, own_bytes: int) -> None:
        """End work of our own since `checkpoint`; ``own_bytes`` is what it holds or gave back."""
        import tracemalloc

        thread = threading.get_ident()
        with self._lock:
            peak_bytes = tracemalloc.get_traced_memory()[1] - self._own_bytes
            for block in self._blocks:
                # Better a peak with our tables in it than one missed in another thread.
                if block.thread != thread:
                    block.fold(peak_bytes)
            self._own_bytes += own_bytes
            tracemalloc.reset_peak()
            self._put_back_outside_peak()

    def after_fork_in_child(self) -> None:
        """Forget the blocks of threads that the child does not have."""
        self._lock = threading.RLock()
        thread = threading.get_ident()
        for block in tuple(self._blocks):
            if block.thread != thread:
                self._blocks.remove(block)
                block.lease.release()

    def _fold_all(self) -> int:
        import tracemalloc

        current_bytes, peak_bytes = tracemalloc.get_traced_memory()
        if not self._blocks:
            self._outside_peak = 0
        for block in self._blocks:
            block.fold(peak_bytes - self._own_bytes)
            if block.interrupted:
                self._outside_peak = 0  # of a session that is over
        self._outside_peak = max(self._outside_peak, peak_bytes)
        return current_bytes - self._own_bytes

    def _put_back_outside_peak(self) -> None:
        if not self._blocks and tracing_is_borrowed():
            raise_peak(self._outside_peak)


running_blocks = RunningBlocks()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=running_blocks.after_fork_in_child)
