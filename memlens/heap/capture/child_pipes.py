"""ChildPipes: what a capturing child and its parent tell each other.

The parent sends the facts for the file: some are known only after the fork. The child sends records
of its progress. Neither waits for the other: a pipe takes what it has room for.

As in the task, no descriptor and no part of a message is lost between a system call and storing its
result.
"""

from __future__ import annotations

import os
import struct

from memlens._uninterrupted import call_and_store, close_all
from memlens.heap.capture.child_progress import READ_BYTES, SnapshotProgress, latest_progress

__all__ = ("ChildPipes",)


class ChildPipes:
    """The pipes of one capture. ``child_ends``: where the child writes its progress, reads facts."""

    def __init__(self) -> None:
        self.child_ends: list[int] = []
        self._ends: list[int] = []  # of the parent: progress to read, facts to write
        self._made: list[tuple[int, int]] = []  # until their ends are stored above
        self._message = b""
        self._sent: list[int] = []  # bytes of the message
        self._parts: list[bytes] = []  # of the progress

    @property
    def descriptors(self) -> tuple[int, ...]:
        """The open ends of the parent."""
        return tuple(self._ends)

    @property
    def progress(self) -> SnapshotProgress:
        """The latest progress that was read."""
        return latest_progress(self._parts)

    def open(self) -> None:
        """Make the pipes. Raises ``OSError`` where no descriptor is free."""
        for _ in range(2):
            call_and_store(self._made, os.pipe)
        (progress, progress_end), (facts_end, facts) = self._made
        # No call between these assignments, so no signal handler runs there.
        self._ends, self.child_ends, self._made = [progress, facts], [progress_end, facts_end], []

    def close_child_ends(self) -> None:
        """Leave the ends of the child to it: after the fork."""
        close_all(self.child_ends)

    def start_sending(self, facts: str) -> None:
        """Send the facts as far as the pipe has room; `exchange` sends what is left."""
        text = facts.encode()
        self._message = struct.pack("=I", len(text)) + text
        for end in self._ends:
            os.set_blocking(end, False)
        self._send()

    def exchange(self) -> None:
        """Send what the pipe has room for, and read what the child has sent."""
        self._send()
        self.read()

    def read(self) -> None:
        """Read the records that the child has written."""
        try:
            while self._is_open_for_reading():
                call_and_store(self._parts, os.read, self._ends[0], READ_BYTES)
        except BlockingIOError:
            pass

    def awaited(self) -> tuple[list[int], list[int]]:
        """Return the end to read from and the end to write to, each if there is a reason to wait."""
        match self._ends[:]:
            case [progress, facts]:
                return (
                    [progress] if self._is_open_for_reading() else [],
                    [facts] if self._left() else [],
                )
            case _:  # not made, or closed by another thread
                return [], []

    def close(self) -> None:
        """Close all ends. May be repeated after an interruption."""
        close_all(self._ends)
        close_all(self.child_ends)
        while self._made:
            self._ends, self._made = [*self._ends, *self._made[0]], self._made[1:]
            close_all(self._ends)

    def _send(self) -> None:
        try:
            while left := self._left():
                call_and_store(self._sent, os.write, self._ends[1], left)
        except BlockingIOError:
            pass
        except BrokenPipeError:
            self._message = b""  # the child has ended; its exit status says why

    def _left(self) -> bytes:
        return self._message[sum(self._sent) :]

    def _is_open_for_reading(self) -> bool:
        return not self._parts or bool(self._parts[-1])  # an empty part: the child has closed it
