"""A forked capture as its caller drives it: facts sent, progress read, the wait bounded."""

from __future__ import annotations

import json
import os
import select
import struct
import time
from typing import NamedTuple

from memlens.heap.capture.child_process import WAIT_FOR_ANY_KIND

RECORD = struct.Struct("=6Q")  # stage, objects, edges, bytes, nanoseconds, errno
WALK, DOMINATORS, WRITE, DONE, FAILED = range(1, 6)


class Outcome(NamedTuple):
    status: int
    records: list[tuple[int, ...]]

    @property
    def last(self):
        return self.records[-1]


def fork_capture(core, path, *, facts=b'{"reason": "test"}', wait_seconds=60.0, **options):
    """Capture into ``path``; return how the child ended and what it said."""
    progress, progress_end = os.pipe()
    facts_end, send = os.pipe()
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        pid = core.fork_capture(file, progress_end, facts_end, **options)
    finally:
        for end in (progress_end, facts_end, file):
            os.close(end)
    if facts is not None:
        os.write(send, struct.pack("=I", len(facts)) + facts)
    os.close(send)
    try:
        said = read_all(progress, wait_seconds)
    finally:
        os.close(progress)
    _, status = os.waitpid(pid, WAIT_FOR_ANY_KIND)
    return Outcome(status, [*RECORD.iter_unpack(said)])


def read_all(descriptor, wait_seconds):
    """Read until the child has closed its end, which it does by ending."""
    end = time.monotonic() + wait_seconds
    said = b""
    while True:
        ready, _, _ = select.select([descriptor], [], [], max(end - time.monotonic(), 0))
        assert ready, f"the child has not ended within {wait_seconds} s"
        part = os.read(descriptor, 65536)
        if not part:
            return said
        said += part


def facts_of(**facts):
    return json.dumps(facts).encode()
