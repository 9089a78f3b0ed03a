"""What `soak.py` sees of its two services from outside, over time."""

from __future__ import annotations

import contextlib
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

__all__ = ("Moment", "Watcher", "own_bytes_of")


@dataclass
class Moment:
    """The resources of a service at one moment. ``children``: processes of memlens that run now."""

    seconds: float
    rss: int
    pss: int
    cpu: float
    child_cpu: float
    descriptors: int
    threads: int
    children: int
    state: dict[str, Any]


class Watcher:
    """Observes both services, and keeps the snapshots that the profiler deletes."""

    def __init__(self, sides: list) -> None:
        self._sides = sides
        self._start = time.monotonic()
        self.load: list[float] = []
        self.moments: dict[str, list[Moment]] = {side.mode: [] for side in sides}

    async def observe(self, *, is_last: bool = False) -> None:
        """Note the resources of both now; sometimes what the services say about themselves."""
        self._keep_snapshots()
        self.load.append(os.getloadavg()[0])
        for side in self._sides:
            moments = self.moments[side.mode]
            state = {}
            if is_last or len(moments) % 6 == 0:
                state = json.loads(await side.ask("/state"))
            moments.append(self._moment(side, state))

    def _moment(self, side: Any, state: dict[str, Any]) -> Moment:
        process = psutil.Process(side.process.pid)
        cpu, memory = process.cpu_times(), process.memory_full_info()
        return Moment(
            time.monotonic() - self._start,
            memory.rss,
            memory.pss,
            cpu.user + cpu.system,
            cpu.children_user + cpu.children_system,
            process.num_fds(),
            process.num_threads(),
            len(process.children()),
            state,
        )

    def _keep_snapshots(self) -> None:
        for side in self._sides:
            kept = Path(side.folder, "kept")
            kept.mkdir(exist_ok=True)
            for path in Path(side.folder, "memory").glob("heap-*.memlens"):
                with contextlib.suppress(FileExistsError, FileNotFoundError):
                    os.link(path, kept / path.name)


def own_bytes_of(folder: str) -> list[tuple[str, float, int, int, int]]:
    """Return reason, time, own objects, their bytes and the pause of each kept snapshot, by time."""
    import memlens
    from memlens._core.layout import NodeFlag

    found = []
    for path in Path(folder, "kept").glob("heap-*.memlens"):
        snapshot = memlens.HeapSnapshot.load(path)
        graph = snapshot.graph
        own = [node for node, flags in enumerate(graph.flags) if flags & NodeFlag.OWN]
        size = sum(graph.node_size[node] for node in own)
        reason = path.name.split("-")[1]
        found.append((reason, snapshot.timestamp, len(own), size, snapshot.pause_seconds))
        del graph, snapshot
    return sorted(found, key=lambda one: one[1])
