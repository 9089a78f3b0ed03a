"""The heap after each cell since a baseline: what ``%leaks`` compares."""

from __future__ import annotations

import sys

from memlens import _core
from memlens.errors import MemlensError
from memlens.heap.capture.forked import SnapshotTask
from memlens.heap.capture.take import start_heap_snapshot, take_heap_snapshot
from memlens.heap.graph.heap_graph import HeapGraph
from memlens.heap.snapshot import HeapSnapshot
from memlens.integrations.notebooks.cells import cell_text

__all__ = ("CellSnapshots", "follows_cells")

_MAX_SNAPSHOTS = 12  # the baseline and the latest ones
_AFTER_CELL = "cell-"  # the reason of a snapshot, before the number of the cell
_EARLIER = "earlier cells"  # whose snapshots are no longer kept


def follows_cells() -> bool:
    """Tell whether a snapshot can follow each cell: a forked child pauses it only for an instant."""
    return _core.fork_capture is not None and sys.platform == "linux"


class CellSnapshots:
    """A baseline and the snapshots after it. ``kept``: oldest first; empty without a baseline."""

    def __init__(self) -> None:
        self.kept: list[HeapSnapshot] = []
        self._since = ""
        self._pending: SnapshotTask | None = None  # after the last cell, while its child works
        self._dropped = 0  # to keep few

    def start(self, since: str) -> HeapSnapshot:
        """Forget all, and take a baseline after the cell ``since``. Raises ``CaptureError``."""
        self.stop()
        self.kept, self._since = [take_heap_snapshot(reason="leaks")], since
        return self.kept[0]

    def stop(self) -> None:
        """Forget all snapshots."""
        if self._pending is not None:
            self._pending.cancel()
        self._pending, self.kept, self._since, self._dropped = None, [], "", 0

    def follow(self, number: int) -> None:
        """Start the snapshot after a cell. A failure is printed: the cell has succeeded."""
        self.settle()
        try:
            self._pending = start_heap_snapshot(reason=f"{_AFTER_CELL}{number}")
        except MemlensError as error:
            print(f"memlens: no snapshot after this cell: {error}", file=sys.stderr)

    def settle(self) -> None:
        """Wait for the snapshot after the last cell and keep it."""
        task, self._pending = self._pending, None
        if task is None:
            return
        try:
            self.add(task.result())
        except MemlensError as error:
            print(f"memlens: a snapshot was lost: {error}", file=sys.stderr)

    def add(self, snapshot: HeapSnapshot) -> None:
        """Keep a snapshot; where there are many, the oldest after the baseline is dropped."""
        self.kept.append(snapshot)
        if len(self.kept) > _MAX_SNAPSHOTS:
            del self.kept[1]
            self._dropped += 1

    def steps(self) -> list[tuple[str, HeapGraph]]:
        """Return the heaps after cells, with the names of these; the baseline is the first.

        Empty where no snapshot follows each cell.
        """
        if not self.kept or not follows_cells():
            return []
        first, *others = self.kept
        steps = [(self._since, first.graph)]
        for snapshot in others:
            number = int(snapshot.reason.removeprefix(_AFTER_CELL))
            is_next = self._dropped == 0 or len(steps) > 1
            steps.append((cell_text(number) if is_next else _EARLIER, snapshot.graph))
        return steps
