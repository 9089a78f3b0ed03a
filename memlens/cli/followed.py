"""What a child of ``memlens run --follow-children`` does: it profiles itself into the run's folder.

Called by `memlens.cli.follow_hook.sitecustomize`, before the program of the child begins.
"""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Callable, Mapping
from itertools import pairwise
from multiprocessing import util
from typing import Any

from memlens.cli.run_profiler import RunProfiler
from memlens.process.identity import is_started_as

__all__ = ("end_with_workers", "follow")

_LAST = -1000  # of the finalizers of multiprocessing: after those of the program


def follow(settings: Mapping[str, Any]) -> None:
    """Start the profiler of a child, and let it end with the process.

    ``settings`` are those that `memlens.cli.follow_children.following` hands to the children. Does
    nothing in the helper processes of multiprocessing and memlens, and after the end of the run.
    """
    if _is_helper() or not os.path.isdir(settings["folder"]):
        return
    profiler = RunProfiler(
        settings["folder"],
        run_pid=settings["pid"],
        snapshot_interval=settings["snapshot_interval"],
        follows=True,
    )
    profiler.start()
    atexit.register(end_with_workers(profiler))


def end_with_workers(profiler: RunProfiler) -> Callable[[], object]:
    """Let a profiler take its last snapshot at the end of each process of multiprocessing.

    That is of those forked from this one, and of this one if it is such a process: it ends without
    the handlers of ``atexit``, or forgets those of its parent; it has finalizers of its own. Returns
    what takes the snapshot, unless it was taken.
    """
    end = _End(profiler)
    util.register_after_fork(end, _End.take_at_end_of_worker)
    _ends.append(end)
    return end.take


class _End:
    """The last snapshot of a process, which is taken once."""

    def __init__(self, profiler: RunProfiler) -> None:
        self._profiler = profiler
        self._taken_in: int | None = None

    def take(self) -> None:
        if self._taken_in != os.getpid() and os.path.isdir(self._profiler.output_dir):
            self._taken_in = os.getpid()
            self._profiler.end()

    def take_at_end_of_worker(self) -> None:
        util.Finalize(None, self.take, exitpriority=_LAST)


_ends: list[_End] = []  # multiprocessing references them weakly


def _is_helper() -> bool:
    """Tell whether this process serves multiprocessing or is a command of memlens."""
    words = sys.orig_argv
    is_memlens = any(pair == ("-m", "memlens") for pair in pairwise(words))
    return is_memlens or is_started_as("multiprocessing.resource_tracker")
