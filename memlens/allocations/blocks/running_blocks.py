"""The measured blocks that are running, which share the single peak of tracemalloc.

tracemalloc has one peak for the process, and `reset_peak` resets it for everyone. Whenever a block
starts, the peak so far is first recorded in every running block. When a block ends, the peak since
the last reset belongs to all running blocks, since none of them started after that reset.

Memory that memlens allocates for a block (its table of lines) is not part of the program; `settle`
subtracts it from all readings.

If the program uses tracemalloc itself, its peak must survive our resets. It is recorded like the
peak of a block and restored whenever no block is running.
"""

from __future__ import annotations

import threading

from memlens._fork import ForkSafeLock, call_in_forked_child
from memlens.allocations.tracing.ownership import TracingLease, tracing_is_borrowed
from memlens.allocations.tracing.peak import raise_peak

__all__ = ("RunningBlock", "RunningBlocks", "running_blocks")


class RunningBlock:
    """The readings of one block, which runs from `RunningBlocks.enter` to `RunningBlocks.leave`.

    ``net_bytes`` and ``peak_bytes`` are relative to the level at the start of the block. ``key``
    identifies the measured function, to recognise recursive calls.
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
        self.base_bytes = self.high_bytes = 0  # absolute, of the current step
        self.overlapped = self.interrupted = False

    def record_peak(self, high_bytes: int) -> None:
        """Record that traced memory was at ``high_bytes`` at some time in this step."""
        if self.lease.intact:
            self.high_bytes = max(self.high_bytes, high_bytes)
        else:
            self.interrupted = True  # the reading belongs to another session, or tracing is off

    def end_step(self, current_bytes: int) -> None:
        """End a step at ``current_bytes`` and add it to the readings."""
        self.peak_bytes = max(self.peak_bytes, self.net_bytes + self.high_bytes - self.base_bytes)
        if not self.interrupted:
            self.net_bytes += current_bytes - self.base_bytes


class RunningBlocks:
    """All running blocks of the process."""

    def __init__(self) -> None:
        # Reentrant: a finaliser may run while the lock is held and be measured itself. The lock is
        # held for a few instructions only, never while traces are read.
        self._lock = ForkSafeLock()
        self._blocks: list[RunningBlock] = []
        self._own_bytes = 0
        self._outside_peak = 0

    def is_running(self, key: object) -> bool:
        """Return whether a block with this key is running in this thread."""
        thread = threading.get_ident()
        return any(block.key is key and block.thread == thread for block in tuple(self._blocks))

    def enter(self, block: RunningBlock) -> None:
        """Start a step of ``block`` in this thread."""
        import tracemalloc

        with self._lock:
            self._record_peak()
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
            current_bytes = self._record_peak()
            if block in self._blocks:  # not if a fork removed it
                position = self._blocks.index(block)
                for later in self._blocks[position + 1 :]:
                    if later.thread == block.thread:  # interleaved tasks of one thread
                        later.overlapped = block.overlapped = True
                del self._blocks[position]
            block.end_step(current_bytes)
            self._restore_outside_peak()

    def checkpoint(self) -> None:
        """Record the peak so far. Call it before work of memlens that ends with `settle`."""
        with self._lock:
            self._record_peak()

    def settle(self, own_bytes: int) -> None:
        """End work of memlens since `checkpoint`, which allocated ``own_bytes`` (negative: freed)."""
        import tracemalloc

        thread = threading.get_ident()
        with self._lock:
            peak_bytes = tracemalloc.get_traced_memory()[1] - self._own_bytes
            for block in self._blocks:
                # In other threads a peak that includes our tables is better than a missed peak.
                if block.thread != thread:
                    block.record_peak(peak_bytes)
            self._own_bytes += own_bytes
            tracemalloc.reset_peak()
            self._restore_outside_peak()

    def after_fork_in_child(self) -> None:
        """Remove the blocks of threads that do not exist in the child."""
        thread = threading.get_ident()
        for block in tuple(self._blocks):
            if block.thread != thread:
                self._blocks.remove(block)
                block.lease.release()

    def _record_peak(self) -> int:
        import tracemalloc

        current_bytes, peak_bytes = tracemalloc.get_traced_memory()
        if not self._blocks:
            self._outside_peak = 0
        for block in self._blocks:
            block.record_peak(peak_bytes - self._own_bytes)
            if block.interrupted:
                self._outside_peak = 0  # that session has ended
        self._outside_peak = max(self._outside_peak, peak_bytes)
        return current_bytes - self._own_bytes

    def _restore_outside_peak(self) -> None:
        if not self._blocks and tracing_is_borrowed():
            raise_peak(self._outside_peak)


running_blocks = RunningBlocks()
call_in_forked_child(running_blocks.after_fork_in_child)
