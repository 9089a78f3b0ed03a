"""Capture by a forked child, so that the program pauses only for the fork.

The child has a frozen copy of the heap. It runs only C code, writes the file and exits without
running exit handlers. The parent sends the facts to the child, reads its progress, waits for a
limited time, reaps the child, and renames the complete file.
"""

from __future__ import annotations

import json
import os
import select
import signal
import struct
import tempfile
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from memlens import _core
from memlens._core.sampler_api import OwnWork, read_samples
from memlens.errors import CaptureError, CaptureTimeoutError, OutputError
from memlens.heap.graph.allocation_sites import lost_samples, site_sections
from memlens.heap.snapshot import HeapSnapshot

__all__ = ("SnapshotProgress", "SnapshotTask")

MAX_SECONDS = 600.0  # after this time the child is killed
_RECORD = struct.Struct("=6Q")  # stage, objects, edges, bytes, nanoseconds, errno
_STAGES = ("starting", "walking", "dominators", "writing", "done", "failed")


class SnapshotProgress(NamedTuple):
    """The progress of a forked capture: stage, objects and edges found, bytes written, age."""

    stage: str
    object_count: int
    edge_count: int
    written_bytes: int
    seconds: float
    errno: int


class SnapshotTask:
    """A snapshot that a forked child takes while the program continues.

    `done` and `progress` return immediately; `result` waits for the `HeapSnapshot`. Deleting the
    task kills the child. Created by ``memlens.start_heap_snapshot``.
    """

    def __init__(
        self, path: str | None, facts: Mapping[str, Any], *, values: bool, own_prefix: str
    ) -> None:
        self._path = path
        self._pid = 0
        self._snapshot: HeapSnapshot | None = None
        self._error: CaptureError | OutputError | None = None
        self._said = b""
        self._temporary, file = _open_temporary(path)
        own_work = OwnWork.begin()
        facts_end, self._send = os.pipe()
        self._progress_end, child_end = os.pipe()
        try:
            assert _core.fork_capture is not None
            before = read_samples()
            sites = () if before is None else _packed(site_sections(before))
            started = time.perf_counter()
            self._pid = _core.fork_capture(
                file, child_end, facts_end, values=values, own_prefix=own_prefix, more=sites
            )
            pause = float(facts["pause_seconds"]) + time.perf_counter() - started
        except BaseException as error:
            self._close_pipes()
            _unlink(self._temporary)
            if isinstance(error, OSError):
                raise CaptureError(f"cannot fork a child to capture the heap: {error}") from error
            raise
        finally:
            OwnWork.end(own_work)
            for end in (file, child_end, facts_end):
                os.close(end)
        self._deadline = time.monotonic() + MAX_SECONDS
        lost = [] if before is None else lost_samples(before, read_samples())
        record = {**facts, "pause_seconds": pause, "lost_samples": lost}
        text = json.dumps(record).encode()
        self._unsent = struct.pack("=I", len(text)) + text
        os.set_blocking(self._send, False)  # the child reads only after the walk

    # -- the interface ----------------------------------------------------------------------------

    def done(self) -> bool:
        """Return whether the child has ended, successfully or not."""
        if self._pid:
            self._pump(0.0)
        return not self._pid

    @property
    def progress(self) -> SnapshotProgress:
        """The latest progress that the child has reported."""
        if self._pid:
            self._pump(0.0)
        whole = len(self._said) - len(self._said) % _RECORD.size
        if not whole:
            return SnapshotProgress(_STAGES[0], 0, 0, 0, 0.0, 0)
        record = _RECORD.unpack_from(self._said, whole - _RECORD.size)
        stage, objects, edges, written, nanoseconds, error = record
        return SnapshotProgress(_STAGES[stage], objects, edges, written, nanoseconds / 1e9, error)

    def result(self, timeout: float | None = None) -> HeapSnapshot:
        """Wait for the snapshot and return it.

        ``timeout``: seconds; by default until the child is 10 minutes old. Raises
        ``CaptureTimeoutError`` when the time is over (the child continues, and `result` can be
        called again), ``CaptureError`` if the child failed, crashed or was killed, ``OutputError``
        if it could not write the file.
        """
        end = self._deadline if timeout is None else time.monotonic() + timeout
        while self._pid:
            left = end - time.monotonic()
            if left <= 0 and not self.done():
                raise CaptureTimeoutError(
                    f"the capture has not ended within {timeout} s ({self.progress.stage})"
                )
            self._pump(max(left, 0.0))
        if self._error is not None:
            raise self._error
        if self._snapshot is None:
            self._snapshot = self._open()
        return self._snapshot

    def cancel(self) -> None:
        """Kill the child if it is running; `result` then raises ``CaptureError``."""
        if self._pid:
            os.kill(self._pid, signal.SIGKILL)
            self._reap()

    def __repr__(self) -> str:
        state = f"running, {self.progress.stage}" if self._pid else "ended"
        return f"<SnapshotTask: {state}>"

    def __del__(self) -> None:
        if getattr(self, "_pid", 0):
            self.cancel()

    # -- the child -------------------------------------------------------------------------------

    def _pump(self, seconds: float) -> None:
        """Exchange data with the child, waiting at most ``seconds``; reap it when it has ended."""
        if time.monotonic() > self._deadline:
            os.kill(self._pid, signal.SIGKILL)
        writers = [self._send] if self._unsent else []
        readable, writable, _ = select.select([self._progress_end], writers, [], min(seconds, 1.0))
        if writable:
            self._write()
        if readable:
            part = os.read(self._progress_end, 1 << 16)
            self._said += part
            if not part:  # the child has ended
                self._reap()

    def _write(self) -> None:
        try:
            self._unsent = self._unsent[os.write(self._send, self._unsent) :]
        except BrokenPipeError:
            self._unsent = b""  # the child has ended; its exit status says why
        if not self._unsent:
            os.close(self._send)
            self._send = -1

    def _reap(self) -> None:
        pid, self._pid = self._pid, 0
        try:
            _, status = os.waitpid(pid, 0)
        except ChildProcessError:
            status = 0  # reaped elsewhere in the program: rely on the last progress record
        said = self.progress
        self._close_pipes()
        if status == 0 and said.stage == "done":
            self._finish()
        else:
            _unlink(self._temporary)
            self._error = _failure(os.waitstatus_to_exitcode(status), said)

    def _finish(self) -> None:
        if self._path is None:
            return
        try:
            os.replace(self._temporary, self._path)
        except OSError as error:
            _unlink(self._temporary)
            self._error = OutputError(f"cannot write {self._path!r}: {error.strerror}")

    def _open(self) -> HeapSnapshot:
        if self._path is not None:
            return HeapSnapshot.load(self._path)
        try:
            return HeapSnapshot.load(self._temporary)
        finally:
            _unlink(self._temporary)  # the mapping keeps the contents

    def _close_pipes(self) -> None:
        for end in (self._send, self._progress_end):
            if end >= 0:
                os.close(end)
        self._send = self._progress_end = -1


def _open_temporary(path: str | None) -> tuple[str, int]:
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL
    try:
        if path is None:
            descriptor, name = tempfile.mkstemp(prefix="memlens-", suffix=".part")
            return name, descriptor
        name = f"{path}.{os.getpid()}-{time.monotonic_ns()}.part"
        return name, os.open(name, flags, 0o600)
    except OSError as error:
        raise OutputError(
            f"cannot write {path or tempfile.gettempdir()!r}: {error.strerror};"
            " choose another folder or free space"
        ) from error


def _packed(sections: Mapping[str, Any]) -> tuple[tuple[str, str, bytes], ...]:
    """Return sections as bytes for the child. Only little-endian machines fork."""
    return tuple((name, column.typecode, column.tobytes()) for name, column in sections.items())


def _failure(exit_code: int, said: SnapshotProgress) -> CaptureError | OutputError:
    if said.stage == "failed" and said.errno:
        text = f"the capturing child failed after {said.seconds:.1f} s: "
        text += os.strerror(said.errno)
        return OutputError(text) if said.written_bytes or said.errno == 28 else CaptureError(text)
    if exit_code < 0:
        name = signal.Signals(-exit_code).name
        return CaptureError(
            f"the capturing child was killed by {name} while {said.stage}; this process is unharmed."
            " A native extension with a faulty traversal can cause this; mode 'inline' would crash"
        )
    return CaptureError(f"the capturing child exited with status {exit_code} while {said.stage}")


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass  # already renamed or never created
