"""From the sampler's columns to rows: call paths, sums since a baseline, ages, names of threads."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from math import sqrt
from typing import Any, NamedTuple

from memlens._core.sampling import COLUMNS, DOMAINS
from memlens.allocations.frame import CallPath, Frame
from memlens.allocations.profile_rows import AllocationRow

__all__ = ("NATIVE", "AllocatedSums", "allocated_sums", "call_paths", "rows_of", "thread_names")

NATIVE = Frame("<native>", "", 0)
_REST = (0, 1)  # numbers of the buckets that take over what was evicted

AllocatedSums = dict[int, tuple[float, float, float, float, int]]


class _Since(NamedTuple):
    """What a bucket allocated since the baseline: bytes, count and their variances."""

    bytes: float
    bytes_variance: float
    count: float
    count_variance: float
    samples: int


def _columns(tables: Mapping[str, bytes]) -> dict[str, Any]:
    return {name: memoryview(data).cast(COLUMNS[name]) for name, data in tables.items()}


def _texts(columns: Mapping[str, Any]) -> list[str]:
    data, offsets = bytes(columns["string_bytes"]), columns["string_offset"]
    return [
        data[begin:end].decode("utf-8", "surrogatepass")
        for begin, end in zip(offsets, offsets[1:], strict=False)
    ]


def call_paths(tables: Mapping[str, bytes]) -> list[CallPath]:
    """Return the call path of every stack, outermost frame first; native code has a frame of its own."""
    columns = _columns(tables)
    texts = _texts(columns)
    places = zip(
        columns["location_function"], columns["location_file"], columns["location_line"], strict=True
    )
    frames = [Frame(texts[function], texts[file], line) for function, file, line in places]
    offsets, located = columns["stack_offset"], columns["stack_location"].tolist()
    return [
        tuple(frames[i] for i in reversed(located[begin:end])) or (NATIVE,)
        for begin, end in zip(offsets, offsets[1:], strict=False)
    ]


def allocated_sums(tables: Mapping[str, bytes]) -> AllocatedSums:
    """Return what each bucket has allocated so far, by bucket number: a baseline for later."""
    columns = _columns(tables)
    sums = zip(
        columns["allocated_bytes"],
        columns["allocated_bytes_variance"],
        columns["allocated_count"],
        columns["allocated_count_variance"],
        columns["allocated_samples"],
        strict=True,
    )
    return {number: sum_ for number, sum_ in zip(columns["bucket_number"], sums, strict=True)}


def rows_of(
    tables: Mapping[str, bytes], baseline: AllocatedSums, now_ns: int, names: Mapping[int, str]
) -> list[AllocationRow]:
    """Return a row for each bucket with something allocated since the baseline, or alive.

    ``now_ns`` is on the sampler's clock; ``names`` maps numbers of thread states to names.
    """
    columns = _columns(tables)
    paths = call_paths(tables)
    since = _since(allocated_sums(tables), baseline)
    rows = []
    for i, number in enumerate(columns["bucket_number"]):
        allocated, live_samples = since[number], columns["live_samples"][i]
        if not live_samples and not allocated.samples:
            continue
        births_ns = columns["live_births_ns"][i]
        rows.append(
            AllocationRow(
                call_path=paths[columns["bucket_stack"][i]],
                live_bytes=columns["live_bytes"][i],
                live_bytes_stderr=sqrt(columns["live_bytes_variance"][i]),
                live_count=columns["live_count"][i],
                live_count_stderr=sqrt(columns["live_count_variance"][i]),
                allocated_bytes=allocated.bytes,
                allocated_bytes_stderr=sqrt(allocated.bytes_variance),
                allocated_count=allocated.count,
                allocated_count_stderr=sqrt(allocated.count_variance),
                live_samples=live_samples,
                allocated_samples=allocated.samples,
                oldest_seconds=_age(now_ns, columns["live_oldest_ns"][i], live_samples),
                mean_age_seconds=_age(now_ns * live_samples, births_ns, live_samples),
                thread=_thread(columns, i, names),
                domain=DOMAINS[columns["bucket_domain"][i]],
            )
        )
    return rows


def thread_names(states: list[tuple[int, int]]) -> dict[int, str]:
    """Return the names of running threads by the number of their thread state."""
    # The copy is made at once: another thread may start one meanwhile.
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    return {number: names.get(ident) or f"thread {ident}" for number, ident in states}


def _thread(columns: Mapping[str, Any], i: int, names: Mapping[int, str]) -> str:
    number, ident = columns["bucket_thread"][i], columns["bucket_thread_ident"][i]
    if columns["bucket_number"][i] in _REST:
        return "<other>"
    if number == 0:
        return NATIVE.function or ""
    return names.get(number) or f"thread {ident} (ended)"


def _age(now_ns: int, then_ns: int, samples: int) -> float | None:
    """Of sums over samples too. The clock is coarse: never below 0."""
    return max(0, now_ns - then_ns) / samples * 1e-9 if samples and then_ns else None


def _since(sums: AllocatedSums, baseline: AllocatedSums) -> dict[int, _Since]:
    """Subtract the baseline. Evicted buckets went, with their sums, to the two buckets of the rest.

    Which of the two is no longer known, so the baseline of evicted buckets comes off them together.
    """
    since = {number: _minus(sum_, baseline.get(number)) for number, sum_ in sums.items()}
    for number in baseline.keys() - sums.keys():
        lost = baseline[number]
        for rest in sorted(_REST, key=lambda rest: since[rest].bytes, reverse=True)[:1]:
            since[rest] = _minus(since[rest], lost)
    return since


def _minus(
    sum_: tuple[float, float, float, float, int], old: tuple[float, float, float, float, int] | None
) -> _Since:
    """Differences of sums of floats may come out just below 0."""
    if old is None:
        return _Since(*sum_)
    left = [max(0.0, a - b) for a, b in zip(sum_[:4], old[:4], strict=True)]
    return _Since(*left, max(0, sum_[4] - old[4]))
