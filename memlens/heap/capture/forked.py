"""Capture by a forked child, so that the program pauses only for the fork.

The child has a frozen copy of the heap. It runs only C code, writes the file and exits without
running exit handlers. The parent sends the facts to the child, reads its progress, waits for a
limited time, reaps the child, and renames the complete file.

A task may be used by several threads, by signal handlers and by finalizers: the lock is reentrant
and never held while waiting, and no state is lost between a system call and storing its result.
"""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from memlens import _core
from memlens._atomic import PendingFile
from memlens._core.sampler_api import OwnWork, read_samples
from memlens._options import check_seconds
from memlens._ready import wait_until_ready
from memlens._uninterrupted import call_and_store, close_all
from memlens.errors import CaptureError, CaptureTimeoutError, OutputError
from memlens.heap.capture.child_pipes import ChildPipes
from memlens.heap.capture.child_process import ChildProcess, leave_to_reap, reap_left
from memlens.heap.capture.child_progress import SnapshotProgress, failure_of
from memlens.heap.capture.hashed_names import hash_names
from memlens.heap.capture.native_options import native_options
from memlens.heap.graph.allocation_sites import lost_samples, site_sections
from memlens.heap.graph.heap_graph import HeapGraph
from memlens.heap.graph.snapshot_file import facts_text
from memlens.heap.snapshot import HeapSnapshot

__all__ = ("SnapshotProgress", "SnapshotTask")

MAX_SECONDS = 600.0  # after this time the child is killed
_LONGEST_WAIT_SECONDS = 1.0  # then look again: another thread may have finished the task
_LOWER_PRIORITY = 10  # a nice value; that of programs is 0 as a rule
_WAIT_WITHOUT_PIDFD_SECONDS = 0.05  # another process may keep the pipe of the child open


class SnapshotTask:
    """A snapshot that a forked child takes while the program continues.

    `done` and `progress` return immediately; `result` waits for the `HeapSnapshot`. Deleting the
    task kills the child. Created by ``memlens.start_heap_snapshot``. A copy of the task in a forked
    process neither waits for the child nor kills it.
    """

    def __init__(
        self,
        path: str | None,
        facts: Mapping[str, Any],
        *,
        values: bool,
        hashes_names: bool = False,
        own_prefix: str,
    ) -> None:
        self._owner = os.getpid()
        self._lock = threading.RLock()
        self._uses = 0  # calls in progress, all of one thread; the outermost closes descriptors
        self._values = values
        # The names that the child writes must not appear under a name of a file if hashes are wanted.
        self._is_named = path is not None and not hashes_names
        self._hashed_target = path
        self._hashes_names = hashes_names
        self.timestamp = float(facts["timestamp"])
        self.pause_seconds = 0.0
        self._snapshot: HeapSnapshot | None = None
        self._error: CaptureError | OutputError | None = None
        self._ended = False
        self._pids: list[int] = []
        self._pidfds: list[int] = []
        self._child: ChildProcess | None = None
        self._pipes = ChildPipes()
        reap_left()
        facts_text(facts)  # refuse bad facts before anything is created
        self._file = PendingFile(path if self._is_named and path else _temporary_target())
        try:
            self._start(facts, own_prefix)
        except BaseException as error:
            self._abandon()
            if isinstance(error, OSError) and not isinstance(error, OutputError):
                raise CaptureError(
                    f"cannot fork a child to capture the heap: {error.strerror or error}"
                ) from error
            raise

    def _start(self, facts: Mapping[str, Any], own_prefix: str) -> None:
        """Fork the child and send the facts as far as the pipe has room."""
        if not self._is_named:
            os.unlink(self._file.name)  # so that nothing is left even if this process is killed
        with OwnWork():
            self._pipes.open()
            native = native_options(forked=True)  # first: samples are read just before the fork
            before = read_samples()
            sites = _Packed() if before is None else _packed(site_sections(before))
            started = time.perf_counter()
            self._fork(own_prefix, sites, native)
            pause = float(facts["pause_seconds"]) + time.perf_counter() - started
            self.pause_seconds = pause
        self._pipes.close_child_ends()
        self._deadline = time.monotonic() + MAX_SECONDS
        self._child = ChildProcess(self._pids[0], self._pidfds)
        lost = [] if before is None else lost_samples(before, read_samples())
        # The child waits for them before its walk, but not for long.
        self._pipes.start_sending(
            facts_text({**facts, "pause_seconds": pause, "lost_samples": lost})
        )

    def _fork(self, own_prefix: str, sites: _Packed, native: Mapping[str, Any]) -> None:
        assert _core.fork_capture is not None
        fork = partial(
            _core.fork_capture, values=self._values, own_prefix=own_prefix, more=sites, **native
        )
        call_and_store(self._pids, fork, self._file.descriptor, *self._pipes.child_ends)

    # -- the interface ---------------------------------------------------------------------------

    def done(self) -> bool:
        """Return whether the child has ended, successfully or not."""
        self._advance()
        return self._ended

    @property
    def progress(self) -> SnapshotProgress:
        """The latest progress that the child has reported."""
        self._advance()
        return self._pipes.progress

    def result(self, timeout: float | None = None) -> HeapSnapshot:
        """Wait for the snapshot and return it.

        ``timeout``: seconds; by default until the child is 10 minutes old. Raises
        ``CaptureTimeoutError`` when the time is over (the child continues, and `result` can be
        called again), ``CaptureError`` if the child failed, crashed or was killed, or if the task
        belongs to another process, ``OutputError`` if the file could not be written.
        """
        self.complete(timeout)
        with self._entered():
            if self._snapshot is None:
                self._snapshot = self._open()
        return self._snapshot

    def complete(self, timeout: float | None = None) -> None:
        """Wait until the file is complete, without opening it: that takes as much address space.

        ``timeout`` and errors are those of `result`.
        """
        if not self._is_owner():
            raise CaptureError(
                f"this snapshot task belongs to process {self._owner}, which forked this one"
            )
        if timeout is not None:
            timeout = check_seconds("timeout", timeout, 0)
        end = self._deadline if timeout is None else time.monotonic() + timeout
        self._advance()
        while not self._ended:
            left = end - time.monotonic()
            if left <= 0 and timeout is not None:
                raise CaptureTimeoutError(
                    f"the capture has not ended within {timeout} s ({self.progress.stage})"
                )
            self._wait(max(left, 0.0))
            self._advance()
        if self._error is not None:
            raise self._error

    def wait(self, seconds: float, *, holds: bool = False) -> bool:
        """Wait for the end of the child, at most for ``seconds``; return whether it has ended.

        ``holds``: no other thread of Python runs meanwhile, and signal handlers run afterwards.
        """
        end = time.monotonic() + seconds
        self._advance()
        while not self._ended and (left := end - time.monotonic()) > 0 and self._is_owner():
            child = self._child
            if holds and _core.wait_with_gil is not None and child and child.descriptor >= 0:
                _core.wait_with_gil(child.descriptor, min(int(left * 1000) + 1, 1000))
            else:
                self._wait(left)
            self._advance()
        return self._ended

    def lower_priority(self) -> None:
        """Let the program and others have the processors before the child, which then takes longer."""
        with self._entered():
            if self._is_owner() and self._child is not None and not self._ended:
                with suppress(OSError):  # it has ended meanwhile, or the system has no priorities
                    os.setpriority(os.PRIO_PROCESS, self._pids[0], _LOWER_PRIORITY)

    def cancel(self) -> None:
        """Kill the child if it is running; `result` then raises ``CaptureError``."""
        if not self._is_owner():
            return
        while not self._ended:
            with self._entered():
                if self._child is not None:
                    self._child.kill()
            self._wait(_WAIT_WITHOUT_PIDFD_SECONDS)
            self._advance()

    def __repr__(self) -> str:
        state = "ended" if self._ended else f"running, {self._pipes.progress.stage}"
        return f"<SnapshotTask: {state}>"

    def __del__(self) -> None:
        if not hasattr(self, "_file"):
            return
        if self._is_owner():
            self._abandon(waits=False)
        else:  # a copy in a forked process: only its own descriptors
            self._release()
            self._file.close()

    # -- the child -------------------------------------------------------------------------------

    def _is_owner(self) -> bool:
        return os.getpid() == self._owner

    @contextmanager
    def _entered(self) -> Iterator[None]:
        """Exclude other threads; close the descriptors after the last use."""
        with self._lock:
            self._uses += 1
            try:
                yield
            finally:
                self._uses -= 1
                if self._ended and not self._uses:
                    self._release()

    def _wait(self, seconds: float) -> None:
        """Wait until the child sends something, can receive something, or has ended."""
        readable, writable = self._pipes.awaited()
        child = self._child
        longest = _LONGEST_WAIT_SECONDS
        if child is None or child.descriptor < 0:
            longest = _WAIT_WITHOUT_PIDFD_SECONDS
        elif not self._ended:
            readable.append(child.descriptor)
        wait_until_ready(readable, writable, min(seconds, longest))

    def _advance(self) -> None:
        """Exchange data with the child without waiting; finish the task if the child has ended."""
        if self._ended or not self._is_owner():
            return
        with self._entered():
            if self._ended or self._child is None:
                return
            if time.monotonic() > self._deadline:
                self._child.kill()
            self._pipes.exchange()
            if self._child.poll():
                self._pipes.read()
                self._finish(self._child)

    def _finish(self, child: ChildProcess) -> None:
        """Rename the file, or record why there is none. May be repeated after an interruption."""
        reap_left()
        said = self._pipes.progress
        if child.exit_code == 0 or (child.exit_code is None and said.stage == "done"):
            try:
                self._publish()
            except OutputError as error:
                self._error = error
        else:
            self._error = failure_of(child.exit_code, said, values=self._values)
            if self._is_named:
                self._file.delete()
        self._ended = True

    def _publish(self) -> None:
        """Give the file its name, or write a file with hashed names."""
        if self._is_named:
            self._file.rename()
        elif self._hashes_names:
            graph = HeapSnapshot.from_descriptor(self._file.descriptor).graph
            snapshot = HeapSnapshot(HeapGraph(*hash_names(graph.sections, graph.facts)))
            if self._hashed_target is not None:
                snapshot.save(self._hashed_target)
            self._snapshot = snapshot

    def _open(self) -> HeapSnapshot:
        if self._is_named:
            return HeapSnapshot.load(self._file.target)
        return HeapSnapshot.from_descriptor(self._file.descriptor)

    def _release(self) -> None:
        """Close the descriptors of the pipes, the child and the file."""
        self._pipes.close()
        if self._pids:  # else the child was left to `reap_left`, which needs its descriptor
            close_all(self._pidfds)
        if self._is_named or self._snapshot is not None or self._error is not None:
            self._file.close()

    def _abandon(self, *, waits: bool = True) -> None:
        """Kill and reap the child and delete what is unfinished, even if that is interrupted.

        May be repeated. A finalizer does not wait: an exception that a signal handler raises would be
        lost in it.
        """
        try:
            self._give_child_up(waits=waits)
        finally:
            try:
                self._give_file_up()
            finally:
                self._release()
                self._file.close()

    def _give_child_up(self, *, waits: bool) -> None:
        if self._child is None and self._pids:
            self._child = ChildProcess(self._pids[0], self._pidfds)
        child = self._child
        if child is None or child.has_ended:
            return
        child.kill()
        if waits:
            child.wait_at_last()
        else:
            leave_to_reap(child)
            self._child = None
            self._pids.clear()
            reap_left()

    def _give_file_up(self) -> None:
        if self._ended:
            return
        self._ended = True
        if self._is_named:
            self._file.delete()
        self._error = CaptureError("the capture was abandoned before it had started")


def _temporary_target() -> str:
    """Return a path in the folder for temporary files."""
    try:
        return os.path.join(tempfile.gettempdir(), "memlens")
    except OSError as error:
        raise OutputError(f"cannot write a temporary file: {error.strerror or error}") from error


class _Packed(tuple[tuple[str, str, bytes], ...]):
    """Sections as bytes: of a class of ours, so that the capture tells them from the program's."""

    __slots__ = ()


def _packed(sections: Mapping[str, Any]) -> _Packed:
    """Return sections as bytes for the child. Only little-endian machines fork."""
    return _Packed((name, column.typecode, column.tobytes()) for name, column in sections.items())
