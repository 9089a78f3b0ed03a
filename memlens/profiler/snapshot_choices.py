"""Which of the kept snapshots to compare, and what may be in their names."""

from __future__ import annotations

from collections.abc import Sequence

from memlens._options import check_text, shown
from memlens.errors import OptionError
from memlens.profiler.profiler_report import SnapshotRecord

__all__ = ("check_reason", "paths_since")


def check_reason(reason: object) -> None:
    """Raise ``OptionError`` unless a reason can be part of the name of a snapshot."""
    text = check_text("reason", reason)
    if not text or not all(c.isalnum() or c in "-_" for c in text):
        raise OptionError(
            f"reason is part of a file name: use letters, digits, - and _; got {shown(text)}"
        )


def paths_since(records: Sequence[SnapshotRecord], since: float | None) -> list[list[str]]:
    """Return sequences of snapshots in which to search for growth since ``since``, best first.

    ``since`` is an estimate in wall-clock seconds, None if the growth has no known start. A leak that
    began after the baseline did not grow in every interval from there. At least three snapshots are
    needed to distinguish growth from a one-time event.
    """
    paths = [record.path for record in records]
    if since is None:
        return [paths] if paths else []
    after = sum(1 for record in records if record.timestamp >= since)
    counts = dict.fromkeys((after, after + 1, 3, len(paths)))
    return [
        paths[-count:]
        for count in counts
        if 3 <= count <= len(paths) or (count and count == len(paths))
    ]
