"""One door for files: ``load`` by what a file holds."""

from __future__ import annotations

import os

from memlens.heap.snapshot import HeapSnapshot

__all__ = ("load",)


def load(path: str | os.PathLike[str]) -> HeapSnapshot:
    """Open a file that memlens wrote, by its content.

    Raises ``SnapshotFileError`` for a file that is not ours, is truncated, damaged or newer.
    """
    return HeapSnapshot.load(path)
