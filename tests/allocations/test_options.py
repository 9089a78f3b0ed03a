"""Options of the wrong type or out of range raise OptionError, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from memlens.allocations import (
    AllocationProfile,
    AllocationProfiler,
    AllocationRow,
    AllocationTracker,
    Frame,
    MemoryBlock,
    ProfileFacts,
    TraceStore,
)
from memlens.errors import OptionError
from memlens.formats.devtools import heapprofile_text
from memlens.formats.folded import folded_text
from tests.allocations.test_trace_file import EXAMPLE

FACTS = ProfileFacts("sampling", 512, 1000.5, 2.5, 42, "3.12.1")
PROFILE = AllocationProfile([AllocationRow((Frame("main", "/app.py", 1),), 5.0)], FACTS)
COMPARISON = PROFILE.compare(PROFILE)
STORE = TraceStore()

BAD_LIMITS = (-1, "a", 1.5, True, [3])
BAD_MEASURES = ("bytes", 5, None, ["live_bytes"])
BAD_GROUPS = ("lineno", 5, None, ["line"])

WITH_LIMIT: dict[str, Callable[..., object]] = {
    "AllocationProfile.top": PROFILE.top,
    "AllocationProfile.table": PROFILE.table,
    "AllocationProfile.line_table": PROFILE.line_table,
    "AllocationProfile.text": PROFILE.text,
    "AllocationProfile.to_dict": PROFILE.to_dict,
    "AllocationComparison.top": COMPARISON.top,
    "AllocationComparison.table": COMPARISON.table,
    "AllocationComparison.to_dict": COMPARISON.to_dict,
    "TracedMemory.top": EXAMPLE.top,
    "TraceStore.compare": lambda limit: STORE.compare(EXAMPLE, EXAMPLE, limit=limit),
    "AllocationTracker.report": AllocationTracker().report,
    "MemoryBlock": lambda limit: MemoryBlock(limit=limit),
}
WITH_MEASURE: dict[str, Callable[..., object]] = {
    "AllocationProfile.top": lambda by: PROFILE.top(by=by),
    "AllocationProfile.table": lambda by: PROFILE.table(by=by),
    "AllocationProfile.line_table": lambda by: PROFILE.line_table(by=by),
    "AllocationProfile.text": lambda by: PROFILE.text(by=by),
    "AllocationProfile.tree_text": PROFILE.tree_text,
    "AllocationComparison.top": lambda by: COMPARISON.top(by=by),
    "AllocationDifference.change": COMPARISON[0].change,
    "AllocationDifference.change_stderr": COMPARISON[0].change_stderr,
    "AllocationDifference.is_significant": COMPARISON[0].is_significant,
    "folded_text": lambda by: folded_text(PROFILE, by),
    "heapprofile_text": lambda by: heapprofile_text(PROFILE, by),
}
OTHERS: dict[str, tuple[Callable[..., object], tuple[Any, ...]]] = {
    "interval_bytes": (AllocationProfiler, (0, "x", 1.5, True, None)),
    "max_samples": (lambda value: AllocationProfiler(max_samples=value), (1, "x", None)),
    "seed": (lambda value: AllocationProfiler(seed=value), (-1, "x", None)),
    "backend": (lambda value: AllocationProfiler(backend=value), ("magic", 5, None, ["auto"])),
    "stack_depth": (lambda value: AllocationTracker(stack_depth=value), (-1, 65, "5", None)),
    "max_entries": (lambda value: AllocationTracker(max_entries=value), (0, "5", None)),
    "type": (lambda value: AllocationTracker().constructor(value), (5, None)),
    "size": (lambda value: AllocationTracker().constructor("User", value), ("x", 1.5, None)),
    "max_captures": (TraceStore, (0, "x", 1.5, None)),
    "frames": (lambda value: TraceStore(frames=value), (0, 70_000, "x", None)),
    "include": (lambda value: TraceStore(include=value), ("*.py", 5, [5], None)),
    "exclude": (lambda value: EXAMPLE.filter(exclude=value), ("*.py", 5, [5], None)),
    "internal": (lambda value: TraceStore(internal=value), ("yes", 1, None)),
    "group_by": (lambda value: EXAMPLE.top(group_by=value), BAD_GROUPS),
    "before": (lambda value: STORE.compare(value, EXAMPLE), (5, None, PROFILE)),
    "after": (lambda value: STORE.compare(EXAMPLE, value), (5, None, PROFILE)),
    "other": (PROFILE.compare, (5, None, EXAMPLE)),
    "file": (lambda value: PROFILE.filter(file=value), (5, ["*"])),
    "thread": (lambda value: PROFILE.filter(thread=value), (5, ["main"])),
    "where": (lambda value: PROFILE.filter(where=value), (5, "live")),
    "min_percent": (lambda value: PROFILE.tree_text(min_percent=value), (-1, 101, "1", None)),
    "errors": (lambda value: COMPARISON[0].is_significant(errors=value), (-1, "1", None)),
    "name": (MemoryBlock, (5, b"x")),
    "report": (lambda value: MemoryBlock(report=value), (5, "stdout")),
    "collect": (lambda value: MemoryBlock(collect=value), (1, None, "yes")),
}


@pytest.mark.parametrize("name", WITH_LIMIT)
@pytest.mark.parametrize("limit", BAD_LIMITS)
def test_bad_limit_is_an_option_error(name: str, limit: Any) -> None:
    with pytest.raises(OptionError, match="limit must be a whole number"):
        WITH_LIMIT[name](limit)


@pytest.mark.parametrize("name", WITH_MEASURE)
@pytest.mark.parametrize("by", BAD_MEASURES)
def test_bad_measure_is_an_option_error(name: str, by: Any) -> None:
    with pytest.raises(OptionError, match="live_bytes"):
        WITH_MEASURE[name](by)


@pytest.mark.parametrize("name", OTHERS)
def test_bad_option_is_an_option_error_that_names_it(name: str) -> None:
    call, values = OTHERS[name]
    for value in values:
        with pytest.raises(OptionError, match=name):
            call(value)


def test_bad_allocation_is_refused_and_not_counted() -> None:
    tracker = AllocationTracker()
    tracker.start()
    for kind, size in ((5, 1), ("User", "x"), ("User", 1.5), (None, 1)):
        with pytest.raises(OptionError):
            tracker.track(kind, size)  # type: ignore[arg-type]
    assert tracker.report().entry_count == 0
