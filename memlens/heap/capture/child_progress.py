"""What a capturing child reports: its progress, and why it failed."""

from __future__ import annotations

import errno
import os
import signal
import struct
from collections.abc import Iterable
from typing import NamedTuple

from memlens.errors import CaptureError, OutputError

__all__ = ("READ_BYTES", "SnapshotProgress", "failure_of", "latest_progress")

_RECORD = struct.Struct("=6Q")  # stage, objects, edges, bytes, nanoseconds, errno
_STAGES = ("starting", "walking", "dominators", "writing", "done", "failed")
READ_BYTES = _RECORD.size * 1024  # whole records


class SnapshotProgress(NamedTuple):
    """The progress of a forked capture: stage, objects and edges found, bytes written, age."""

    stage: str
    object_count: int
    edge_count: int
    written_bytes: int
    seconds: float
    errno: int


def latest_progress(parts: Iterable[bytes]) -> SnapshotProgress:
    """Return the latest of the records that were read from a child.

    The child writes whole records. They may be out of order: a signal handler may have read a later
    one before an earlier one was stored.
    """
    records = [record for part in parts for record in _RECORD.iter_unpack(part)]
    if not records:
        return SnapshotProgress(_STAGES[0], 0, 0, 0, 0.0, 0)
    stage, objects, edges, written, nanoseconds, error = max(
        records, key=lambda record: (record[0], record[4])
    )
    return SnapshotProgress(_STAGES[stage], objects, edges, written, nanoseconds / 1e9, error)


def failure_of(
    exit_code: int | None, said: SnapshotProgress, *, values: bool
) -> CaptureError | OutputError:
    """Return the error for a child that has ended without a file."""
    if said.stage == "failed" and said.errno:
        text = f"the capturing child failed after {said.seconds:.1f} s: "
        text += os.strerror(said.errno)
        # Columns are written before the dominators are found, which may lack memory.
        is_of_file = said.written_bytes and said.errno != errno.ENOMEM
        return OutputError(text) if is_of_file or said.errno == errno.ENOSPC else CaptureError(text)
    if exit_code is None:
        return CaptureError(
            f"the capturing child ended while {said.stage}, and other code of this program has"
            " reaped it, so that its exit status is unknown"
        )
    if exit_code < 0:
        end = f"was killed by {_name_of_signal(-exit_code)} while {said.stage}"
    else:
        end = f"exited with status {exit_code} while {said.stage}"
    return CaptureError(
        f"the capturing child {end}; this process is unharmed. {_advice(said, values)}"
    )


def _name_of_signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # most real-time signals have no name
        return f"signal {number}"


def _advice(said: SnapshotProgress, values: bool) -> str:
    if said.stage == "starting" and values:
        return (
            "With values=True the child runs the fork handlers of libraries, and those of some"
            " (grpc, for example) end the child; use mode='inline', or leave the values out"
        )
    return "A native extension with a faulty traversal can cause this; mode 'inline' would crash"
