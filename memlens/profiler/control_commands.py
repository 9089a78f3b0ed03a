"""What a running profiler does when it is asked from outside the process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from memlens._options import check_path
from memlens.errors import AttachError
from memlens.heap.capture.take import take_heap_snapshot
from memlens.process.live_stacks import live_stacks
from memlens.profiler.control_socket import Command
from memlens.profiler.profiler_report import SnapshotRecord

__all__ = ("control_commands",)


class Controlled(Protocol):
    """What is used of a `MemoryProfiler`."""

    may_be_stopped: bool

    @property
    def output_dir(self) -> str:
        """The folder for snapshots and reports."""

    @property
    def snapshots(self) -> tuple[SnapshotRecord, ...]:
        """The kept snapshots, oldest first."""

    def take_snapshot(self, reason: str = "manual") -> SnapshotRecord:
        """Take a snapshot and keep it in the folder."""

    def stop(self, last_snapshot: str | None = None) -> None:
        """Stop sampling."""


def control_commands(profiler: Controlled) -> dict[str, Command]:
    """Return the commands of a profiler by name; each takes the request and returns the answer."""

    def dump(request: Mapping[str, Any]) -> Mapping[str, Any]:
        snapshot = take_heap_snapshot(check_path("path", request.get("path")), reason="dump")
        return {
            "object_count": snapshot.object_count,
            "pause_seconds": snapshot.pause_seconds,
        }

    def snapshot(request: Mapping[str, Any]) -> Mapping[str, Any]:
        profiler.take_snapshot("request")
        return {
            "output_dir": profiler.output_dir,
            "snapshots": [record.path for record in profiler.snapshots],
        }

    def attach(request: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"output_dir": profiler.output_dir, "was_running": True}

    def stop(request: Mapping[str, Any]) -> Mapping[str, Any]:
        if not profiler.may_be_stopped:
            raise AttachError(
                "the program started the profiler itself, so only the program may stop it"
            )
        profiler.stop("stop")
        return {"output_dir": profiler.output_dir}

    return {
        "dump": dump,
        "snapshot": snapshot,
        "stacks": lambda request: live_stacks(),
        "attach": attach,
        "stop": stop,
    }
