"""Damaged heap snapshots: of memlens, and of Chrome DevTools."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import memlens
from memlens.heap.snapshot import HeapSnapshot
from tests.damaged.choices import Choices, json_bytes
from tests.heap.damaged import mutate, stored, whole_heap, write_damaged
from tests.heap.test_damaged import VIEWS, look_at


class Snapshots:
    """A snapshot with every section; two of the views look at the damaged file."""

    def __init__(self) -> None:
        self.parts = stored(whole_heap())
        self.views = list(VIEWS.values())

    def write(self, path: str, choices: Choices) -> None:
        """Write a damaged file, with correct checksums."""
        sections, facts, _ = mutate(*self.parts, choices)
        write_damaged(path, sections, facts)

    def read(self, path: str, choices: Choices) -> None:
        """Read it, and look at all that was read."""
        for view in (choices.choice(self.views), choices.choice(self.views)):
            look_at(view(HeapSnapshot.load(path)))


class HeapSnapshots:
    """A file of Chrome DevTools, and some views over it."""

    def __init__(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "x.heapsnapshot")
            memlens.export(whole_heap(), path)
            self.document = json.loads(path.read_bytes())

    def write(self, path: str, choices: Choices) -> None:
        """Write a damaged file."""
        Path(path).write_bytes(json_bytes(self.document, choices))

    def read(self, path: str, choices: Choices) -> None:
        """Read it, and look at all that was read."""
        snapshot = memlens.load(path)
        assert isinstance(snapshot, HeapSnapshot)
        for view in ("by type", "largest", "dominators", "paths", "containment"):
            look_at(VIEWS[view](snapshot))
