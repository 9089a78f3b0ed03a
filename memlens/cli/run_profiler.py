"""The profiler of ``run``: of the program itself, and of the children that it starts."""

from __future__ import annotations

import os
from typing import Any

from memlens.errors import MemlensError, OutputError
from memlens.profiler.memory_profiler import MemoryProfiler
from memlens.profiler.profiler_report import SnapshotRecord

__all__ = ("RunProfiler",)

_FIRST_INTERVAL_SECONDS = 0.25
_MAX_INTERVAL_SECONDS = 3600
_MAX_SNAPSHOTS = 60  # of each process that runs
_MAX_WITH_CHILDREN = 600  # in the folder: those of children that have ended are kept for the report


class RunProfiler(MemoryProfiler):
    """A profiler with the schedule of ``run``; in a child it ends with the folder of the run.

    ``output_dir``: the folder of the run. ``snapshot_interval``: seconds; by default they double
    from a quarter of a second to an hour. ``follows``: children of any kind write to the folder,
    too. ``run_pid``: the process of the command ``run``. ``ignore`` and ``baseline`` are those of
    `MemoryProfiler`.
    """

    def __init__(
        self,
        output_dir: str,
        *,
        run_pid: int,
        snapshot_interval: float | None = None,
        follows: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(
            output_dir,
            sample_interval=1.0,
            snapshot_interval=snapshot_interval or _doubling_interval,
            max_snapshots=_MAX_SNAPSHOTS,
            **options,
        )
        self._run_pid = run_pid
        self._run_has_ended = False
        if follows:
            self._store.max_files = _MAX_WITH_CHILDREN

    def take_snapshot(self, reason: str = "manual") -> SnapshotRecord:
        """Take a snapshot, but in a child only while the folder of the run exists."""
        if os.getpid() != self._run_pid and not os.path.isdir(self.output_dir):
            self._run_has_ended = True
            self.stop()
            raise OutputError("the command run has ended, and its folder is gone")
        return super().take_snapshot(reason)

    def end(self) -> None:
        """Take the last snapshot at the end of a child, and stop; a failure is logged."""
        try:
            self.stop(last_snapshot="exit")
        except (MemlensError, MemoryError) as error:
            self._note_failure(error)

    def _note_failure(self, error: BaseException) -> None:
        """Count a failure, but say nothing in a child that has outlived the run."""
        if not self._run_has_ended:
            super()._note_failure(error)


def _doubling_interval(taken: int) -> float:
    """Return the seconds to the next snapshot; programs of any length get a few snapshots."""
    return min(_FIRST_INTERVAL_SECONDS * 2.0**taken, _MAX_INTERVAL_SECONDS)
