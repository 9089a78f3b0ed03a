"""RoundSnapshots: snapshots between the rounds of a test, and what they say.

Each snapshot is taken after the fixtures of the round are torn down and garbage is collected. Their
times are the numbers of the intervals: a rate is then a growth for each interval, however busy the
machine is. Allocations are sampled meanwhile, where there is the C sampler, so that a suspect names
the line that allocated what it gained.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import pytest

from memlens._frame import is_program_file
from memlens.allocations.profiler import AllocationProfiler
from memlens.errors import TracingError
from memlens.heap.capture.take import take_heap_snapshot
from memlens.heap.graph.allocation_sites import SiteShare
from memlens.heap.snapshot import HeapSnapshot
from memlens.integrations.pytest_plugin.left_objects import LeftObjects, excess_objects
from memlens.integrations.pytest_plugin.markers import LeakCheck, ObjectLimits
from memlens.integrations.pytest_plugin.tools_of_tests import suspects_of_program
from memlens.leaks.baselines import Baseline
from memlens.leaks.growth import Growth
from memlens.leaks.leak_report import find_leaks
from memlens.leaks.suspects import LeakSuspect, is_ignored

__all__ = ("RoundSnapshots", "leak_text")

# Of the sampler: a few small objects must be among the samples, and a test must not be much slower.
_INTERVAL_BYTES = 128
_INTERVAL_BYTES_OF_FEW = 16  # where a few calls are all there is
_FEW_CALLS = 10
_MAX_SAMPLES = 1 << 17
_MAX_SHOWN = 5
_MAX_SUSPECTS = 100  # those of tools, which are dropped, are among them


class RoundSnapshots:
    """The snapshots of one test; a context manager that samples allocations meanwhile.

    ``calls``: how often the test is called between two snapshots.
    """

    def __init__(self, calls: Sequence[int]) -> None:
        self._calls = calls
        self._snapshots: list[HeapSnapshot] = []
        self._sampler: AllocationProfiler | None = None

    def __enter__(self) -> RoundSnapshots:
        return self

    def __exit__(self, *_: object) -> None:
        if self._sampler is not None and self._sampler.is_running:
            self._sampler.stop()

    def take(self) -> None:
        """Take the next snapshot. After the first one allocations are sampled."""
        # Inline: the test waits anyway, and nothing forks beside its threads.
        snapshot = take_heap_snapshot(mode="inline", collect=True, reason="test")
        snapshot.facts["timestamp"] = float(len(self._snapshots))
        self._snapshots.append(snapshot)
        if len(self._snapshots) == 1:
            self._start_sampler()

    def _start_sampler(self) -> None:
        is_few = sum(self._calls) <= _FEW_CALLS
        interval_bytes = _INTERVAL_BYTES_OF_FEW if is_few else _INTERVAL_BYTES
        try:
            sampler = AllocationProfiler(
                interval_bytes, backend="sampling", max_samples=_MAX_SAMPLES, seed=1
            )
            sampler.start()
        except TracingError:
            return  # without it a suspect names functions, but no line
        self._sampler = sampler

    def find_leaks(
        self, item: pytest.Item, ignore: Iterable[str], baseline: Baseline | None
    ) -> list[LeakSuspect]:
        """Return what accumulates objects over the rounds, without what only tools of tests hold."""
        report = find_leaks(self._snapshots, ignore=ignore, limit=_MAX_SUSPECTS)
        found = suspects_of_program(report.suspects, self._snapshots[-1].graph, item)
        found = [one for one in found if not is_ignored(one, ignore)]  # fixtures have new names
        if baseline is None:
            return found
        return [replace(one, is_known=one.fingerprint in baseline) for one in found]

    def excess_objects(self, limits: ObjectLimits) -> list[LeftObjects]:
        """Return what each call leaves behind above its limit."""
        seconds = [snapshot.timestamp for snapshot in self._snapshots]
        growth = Growth([snapshot.graph for snapshot in self._snapshots], seconds)
        return excess_objects(growth, self._calls, limits)


def leak_text(suspects: Sequence[LeakSuspect], check: LeakCheck) -> str:
    """Say what leaks in a test: the suspects with their paths and lines."""
    count = len(suspects)
    calls = f"over {check.rounds} calls of the test, after {check.warmup} to warm up"
    if count == 1:
        return f"{_text(suspects[0])}\n  measured {calls}"
    blocks = [f"{count} suspects {calls}; the largest: {suspects[0].headline()}"]
    blocks += [
        _text(suspect, f"{rank}. ") for rank, suspect in enumerate(suspects[:_MAX_SHOWN], start=1)
    ]
    if count > _MAX_SHOWN:
        blocks.append(f"... and {count - _MAX_SHOWN} more")
    return "\n\n".join(blocks)


def _text(suspect: LeakSuspect, lead: str = "") -> str:
    return replace(suspect, sites=_sites_of_test(suspect.sites)).text(lead)


def _sites_of_test(sites: Iterable[SiteShare]) -> tuple[SiteShare, ...]:
    """Return the sites in the program, without the calls of pytest that lead to the test.

    What pytest alone allocated is no site: an object that the interpreter keeps for its next use, such
    as a list, may lie in memory that was allocated for another one.
    """
    found = []
    for site in sites:
        own = [n for n, frame in enumerate(site.call_path) if is_program_file(frame.file)]
        if own:
            found.append(replace(site, call_path=site.call_path[own[0] :]))
    return tuple(found)
