"""Damaged profiles of allocations, and traces."""

from __future__ import annotations

import hashlib
import json
import tempfile
import zlib
from pathlib import Path

import memlens
from memlens._frame import Frame
from memlens.allocations.profile.allocation_profile import AllocationProfile
from memlens.allocations.tracing.trace_file import save_traces
from memlens.allocations.tracing.trace_store import TraceStore
from memlens.allocations.tracing.traces import TracedMemory
from tests.damaged.choices import Choices, damaged_json, json_bytes
from tests.test_files import make_profile

SUFFIXES = (".pb.gz", ".speedscope.json", ".firefox.json", ".folded", ".heapprofile", ".html")
FRAMES = (Frame("main", "/app/main.py", 3), Frame(None, "/app/load.py", 9))


class Profiles:
    """A saved profile of allocations, and every format that it is exported to."""

    def __init__(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "x.json")
            make_profile().save(path)
            self.document = json.loads(path.read_bytes())

    def write(self, path: str, choices: Choices) -> None:
        """Write a damaged file."""
        Path(path).write_bytes(json_bytes(self.document, choices))

    def read(self, path: str, choices: Choices) -> None:
        """Read it, and look at all that was read."""
        profile = AllocationProfile.load(path)
        str(profile), repr(profile), str(profile.lines()), str(profile.tree())
        str(profile.by_site()), str(profile.by_module()), str(profile.compare(profile))
        json.dumps(profile.to_dict())
        with tempfile.TemporaryDirectory() as folder:
            for suffix in SUFFIXES:
                memlens.export(profile, Path(folder, f"x{suffix}"))


def capture(label: str, count: int) -> TracedMemory:
    """Return two call paths with sizes that grow with ``count``."""
    return TracedMemory(
        label=label,
        taken_at=1.5e9 + count,
        pid=42,
        python="3.12.1",
        frame_limit=25,
        traced_bytes=4000 * count,
        tracing_bytes=100,
        paths=(FRAMES, FRAMES[1:]),
        sizes_bytes=(3000 * count, 500),
        counts=(3 * count, 1),
    )


class Traces:
    """A file of allocation traces, whose header and digest are computed again."""

    def __init__(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "x.traces")
            save_traces(path, [capture("one", 1), capture("two", 2)])
            content = path.read_bytes()
        self.head, _, payload = content.partition(b"\n")
        try:
            payload = zlib.decompress(payload)
        except zlib.error:
            pass  # stored
        self.document = json.loads(payload)

    def write(self, path: str, choices: Choices) -> None:
        """Write a damaged file, with correct sizes and digest."""
        text = json_bytes(self.document, choices)
        payload = zlib.compress(text)
        words = self.head.split()
        words[2:] = [
            str(len(text)).encode(),
            str(len(payload)).encode(),
            hashlib.sha256(payload).hexdigest().encode(),
        ]
        if choices.randrange(4) == 0:
            words = [
                str(one).encode("utf-8", "replace")
                for one in damaged_json([one.decode() for one in words], choices)
            ]
        Path(path).write_bytes(b" ".join(words) + b"\n" + payload)

    def read(self, path: str, choices: Choices) -> None:
        """Read it, and look at all that was read."""
        store = TraceStore.load(path)
        str(store), repr(store), str(store.top(5))
        if store.captures:
            str(store.compare(store.captures[0], store.captures[-1]))
