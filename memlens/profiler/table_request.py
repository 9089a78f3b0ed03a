"""TableBatch: what a profiler hands to the process that writes its tables, as one request."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from memlens.allocations.profile.allocation_profile import AllocationProfile
from memlens.allocations.profile.profile_file import profile_to_dict
from memlens.leaks.leak_report import LeakReport
from memlens.process.detector.alert import DetectorReport
from memlens.process.history import HistoryPoint
from memlens.process.identity import identify
from memlens.process.start import UNKNOWN_TOKEN, process_token
from memlens.profiler.child_process import bytes_for
from memlens.profiler.plain_values import to_plain
from memlens.profiler.profiler_options import TableOptions
from memlens.tables.process_columns import ProcessColumns
from memlens.tables.stable_frames import import_folders
from memlens.tables.table_folder import new_file_name

__all__ = ("ANALYSED", "TableBatch")

ANALYSED = "analysed"  # what the child says when all that the heap tells is written
_ARROW_BYTES = 1 << 30  # of address space, for pyarrow


@dataclass(frozen=True, slots=True)
class TableBatch:
    """What is written at one time. ``name``: of the files, see `new_file_name`.

    ``time`` and ``monotonic_seconds``: now; ``profiled_until``: when the profile of allocations ended,
    in seconds of the monotonic clock. ``limit_bytes``: that given to the profiler, None without one;
    ``limit_used_bytes``: what counts against the limit at the last reading. ``snapshot``: the newest
    one, empty without any; ``newest``: the same, or empty if its types and holders are written.
    ``choices``: the snapshot files to analyse, see `Analysis.run`. ``reports``: those of alerts since
    the last writing.
    """

    name: str
    time: float
    monotonic_seconds: float
    readings: tuple[HistoryPoint, ...]
    detectors: tuple[DetectorReport, ...]
    seconds_to_limit: float | None
    limit_bytes: int | None
    limit_used_bytes: int | None
    allocations: AllocationProfile | None
    profiled_until: float
    snapshot: str
    newest: str
    choices: Sequence[Sequence[str]]
    reports: tuple[LeakReport, ...]
    ignore: tuple[str, ...]

    @staticmethod
    def new_name() -> str:
        """Return a name for the files of one writing of this process."""
        pid = os.getpid()
        return new_file_name(pid, process_token(pid) or UNKNOWN_TOKEN, now=time.time())

    def request(self, options: TableOptions, max_seconds: float) -> bytes:
        """Return the request to `memlens.profiler.table_child`."""
        process = ProcessColumns.of(identify(), options.service, options.release)
        snapshots = [*self.choices, [self.newest] if self.newest else []]
        profile = self.allocations
        values: dict[str, Any] = {
            "folder": options.folder,
            "name": self.name,
            "process": process.to_dict(),
            "time": self.time,
            "uptime_seconds": process.uptime(self.time, self.monotonic_seconds),
            "readings": self.readings,
            "detectors": to_plain(self.detectors),
            "seconds_to_limit": self.seconds_to_limit,
            "limit_bytes": self.limit_bytes,
            "limit_used_bytes": self.limit_used_bytes,
            "allocations": None
            if profile is None
            else profile_to_dict(profile.rows, profile.facts),
            "allocations_uptime": process.uptime(self.time, self.profiled_until),
            "folders": import_folders(),
            "newest": self.newest,
            "choices": self.choices,
            "reports": to_plain(self.reports),
            "ignore": self.ignore,
            "max_bytes": bytes_for(snapshots) + _ARROW_BYTES,
            "max_seconds": max_seconds,
        }
        return json.dumps(values).encode()
