"""TableBacklog: what waits to be written to tables, and which snapshots were written already."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection

from memlens.leaks.leak_report import LeakReport
from memlens.profiler.table_readings import TableReadings
from memlens.profiler.table_request import ANALYSED, TableBatch

__all__ = ("TableBacklog",)

_MAX_REPORTS = 8
_MAX_ATTEMPTS = 3  # with one snapshot: it may be one that cannot be analysed within the bounds


class TableBacklog:
    """Keeps readings and reports of alerts until they are written. Not safe for concurrent use.

    ``tabulated`` and ``analysed``: the paths of the newest snapshots of which types and holders, and
    the suspects, are written. ``name``: of the files of a writing that failed, else empty.
    """

    def __init__(self, readings: TableReadings) -> None:
        self.readings = readings
        self.clear()

    def __repr__(self) -> str:
        return f"<TableBacklog: {len(self.readings)} readings, {len(self.reports)} reports>"

    def clear(self) -> None:
        """Forget all, as in a forked child."""
        self.readings.clear()
        self.reports: deque[LeakReport] = deque(maxlen=_MAX_REPORTS)
        self.tabulated = self.analysed = self.name = ""
        self._attempts = 0

    def take_reports(self) -> tuple[LeakReport, ...]:
        """Return the reports of alerts, oldest first, and forget them."""
        reports = tuple(self.reports)
        self.reports.clear()
        return reports

    def take_name(self) -> str:
        """Return a name for files: that of a writing that failed, so that they are replaced."""
        name, self.name = self.name or TableBatch.new_name(), ""
        return name

    def note(self, batch: TableBatch, written: Collection[str], *, is_failed: bool) -> None:
        """Note which tables of a batch were written, and keep what was not."""
        if "readings" not in written:
            # Perhaps they were, just before the child was killed: then the same name replaces them.
            self.readings.put_back(batch.readings)
            self.name = batch.name
        if "types" in written:
            self.tabulated = batch.newest
        if ANALYSED in written:
            self.analysed, self._attempts = batch.snapshot, 0
        elif is_failed:
            self._keep_heap(batch)

    def _keep_heap(self, batch: TableBatch) -> None:
        self._attempts += 1
        if self._attempts < _MAX_ATTEMPTS:
            self.reports.extendleft(reversed(batch.reports))
        else:
            self.tabulated = self.analysed = batch.snapshot
            self._attempts = 0
