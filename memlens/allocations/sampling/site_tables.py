"""Convert the sampler's columns to rows: call paths, sums since a baseline, ages, threads."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, fields
from itertools import pairwise
from math import sqrt
from typing import Any, NamedTuple

from memlens._core.sampler_api import COLUMNS, DOMAINS
from memlens._frame import NATIVE_FRAME, CallPath, Frame
from memlens.allocations.profile.rows import FEW_SAMPLES, AllocationRow, standard_error

__all__ = (
    "AllocatedSums",
    "LiveSites",
    "SiteBytes",
    "Sums",
    "allocated_sums",
    "call_paths",
    "live_sites",
    "rows_of",
    "thread_names",
)

_SMALL_ERROR = 0.2  # a standard error relative to its estimate
_REST = (0, 1)  # numbers of the buckets that receive the sums of evicted buckets


@dataclass(frozen=True, slots=True)
class Sums:
    """The allocations of a bucket, with variances and the largest variance of one sample."""

    bytes: float
    bytes_variance: float
    bytes_largest: float
    count: float
    count_variance: float
    count_largest: float
    samples: int


AllocatedSums = dict[int, Sums]


class SiteBytes(NamedTuple):
    """The live bytes of one line that allocated: an estimate from samples.

    ``is_reliable``: there are at least `FEW_SAMPLES` samples, or fewer of large blocks, so that the
    standard error is small.
    """

    frame: Frame
    live_bytes: float
    is_reliable: bool


class LiveSites(NamedTuple):
    """The lines that allocated most of what is alive, largest first, and the sums of all lines.

    ``live_bytes`` is alive, ``allocated_bytes`` was allocated since the sampler began to count.
    """

    sites: tuple[SiteBytes, ...]
    live_bytes: float
    allocated_bytes: float


def _columns(tables: Mapping[str, bytes]) -> dict[str, Any]:
    views: dict[str, Any] = {name: memoryview(data) for name, data in tables.items()}
    return {name: view.cast(COLUMNS[name]) for name, view in views.items()}


def _texts(columns: Mapping[str, Any]) -> list[str]:
    data, offsets = bytes(columns["string_bytes"]), columns["string_offset"]
    return [data[begin:end].decode("utf-8", "surrogatepass") for begin, end in pairwise(offsets)]


def call_paths(tables: Mapping[str, bytes]) -> list[CallPath]:
    """Return the call path of every stack, outermost frame first.

    A stack without Python frames is the path of `NATIVE_FRAME`.
    """
    columns = _columns(tables)
    texts = _texts(columns)
    places = zip(
        columns["location_function"],
        columns["location_file"],
        columns["location_line"],
        strict=True,
    )
    frames = [Frame(texts[function], texts[file], line) for function, file, line in places]
    offsets, located = columns["stack_offset"], columns["stack_location"].tolist()
    return [
        tuple(frames[i] for i in reversed(located[begin:end])) or (NATIVE_FRAME,)
        for begin, end in pairwise(offsets)
    ]


def allocated_sums(tables: Mapping[str, bytes]) -> AllocatedSums:
    """Return the allocations of each bucket so far, by bucket number, for use as a baseline."""
    columns = _columns(tables)
    sums = zip(*(columns[f"allocated_{field.name}"] for field in fields(Sums)), strict=True)
    return {
        number: Sums(*values) for number, values in zip(columns["bucket_number"], sums, strict=True)
    }


def rows_of(
    tables: Mapping[str, bytes], baseline: AllocatedSums, now_ns: int, names: Mapping[int, str]
) -> list[AllocationRow]:
    """Return a row for each bucket that is live or has allocated since the baseline.

    ``now_ns`` is a time of the sampler's clock. ``names`` maps numbers of thread states to names.
    """
    columns = _columns(tables)
    paths = call_paths(tables)
    since = _since(allocated_sums(tables), baseline)

    def error(i: int, measure: str) -> float:
        return standard_error(columns[f"{measure}_variance"][i], columns[f"{measure}_largest"][i])

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
                live_bytes_stderr=error(i, "live_bytes"),
                live_count=columns["live_count"][i],
                live_count_stderr=error(i, "live_count"),
                allocated_bytes=allocated.bytes,
                allocated_bytes_stderr=standard_error(
                    allocated.bytes_variance, allocated.bytes_largest
                ),
                allocated_count=allocated.count,
                allocated_count_stderr=standard_error(
                    allocated.count_variance, allocated.count_largest
                ),
                live_samples=live_samples,
                allocated_samples=allocated.samples,
                oldest_seconds=_age(now_ns, columns["live_oldest_ns"][i], min(live_samples, 1)),
                mean_age_seconds=_age(now_ns * live_samples, births_ns, live_samples),
                thread=_thread(columns, i, names),
                domain=DOMAINS[columns["bucket_domain"][i]],
                widening=(
                    columns["live_bytes_largest"][i],
                    allocated.bytes_largest,
                    columns["live_count_largest"][i],
                    allocated.count_largest,
                ),
            )
        )
    return rows


def live_sites(tables: Mapping[str, bytes], limit: int) -> LiveSites:
    """Return the ``limit`` lines with most live bytes, without making a row of each call path.

    Cheaper than `rows_of` by an order of magnitude: only the frames of the result are decoded.
    """
    columns = _columns(tables)
    offsets, located = columns["stack_offset"].tolist(), columns["stack_location"].tolist()
    sums: dict[int, list[float]] = {}  # by location; -1 is native code without a Python frame
    for stack, size, variance, samples in zip(
        columns["bucket_stack"].tolist(),
        columns["live_bytes"].tolist(),
        columns["live_bytes_variance"].tolist(),
        columns["live_samples"].tolist(),
        strict=True,
    ):
        if samples:
            begin = offsets[stack]
            place = located[begin] if begin < offsets[stack + 1] else -1
            known = sums.setdefault(place, [0.0, 0.0, 0])
            known[0] += size
            known[1] += variance
            known[2] += samples
    top = sorted(sums.items(), key=lambda item: -item[1][0])[:limit]
    return LiveSites(
        tuple(
            SiteBytes(
                _frame(columns, place),
                size,
                samples >= FEW_SAMPLES or sqrt(variance) <= _SMALL_ERROR * size,
            )
            for place, (size, variance, samples) in top
        ),
        sum(size for size, _, _ in sums.values()),
        sum(columns["allocated_bytes"]),
    )


def _frame(columns: Mapping[str, Any], place: int) -> Frame:
    if place < 0:
        return NATIVE_FRAME

    def text(column: str) -> str:
        number = columns[column][place]
        begin, end = columns["string_offset"][number : number + 2]
        return bytes(columns["string_bytes"][begin:end]).decode("utf-8", "surrogatepass")

    return Frame(text("location_function"), text("location_file"), columns["location_line"][place])


def thread_names(states: list[tuple[int, int]]) -> dict[int, str]:
    """Return the names of the running threads by number of their thread state."""
    # enumerate() copies the list of threads: other threads may start or end during the loop.
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    return {number: names.get(ident) or f"thread {ident}" for number, ident in states}


def _thread(columns: Mapping[str, Any], i: int, names: Mapping[int, str]) -> str:
    number, ident = columns["bucket_thread"][i], columns["bucket_thread_ident"][i]
    if columns["bucket_number"][i] in _REST:
        return "<other>"
    if number == 0:
        return NATIVE_FRAME.function or ""
    return names.get(number) or f"thread {ident} (ended)"


def _age(now_ns: int, then_ns: float, samples: int) -> float | None:
    """Return an age in seconds, at least 0 (the clock is coarse). Also accepts sums of samples."""
    return max(0, now_ns - then_ns) / samples * 1e-9 if samples and then_ns else None


def _since(sums: AllocatedSums, baseline: AllocatedSums) -> AllocatedSums:
    """Subtract the baseline from the sums of each bucket.

    The sums of an evicted bucket were added to one of the two `_REST` buckets. It is not known to
    which one, so the baseline of an evicted bucket is subtracted from the larger of the two.
    """
    since = {number: _minus(sum_, baseline.get(number)) for number, sum_ in sums.items()}
    for number in baseline.keys() - sums.keys():
        rest = max(_REST, key=lambda rest: since[rest].bytes)
        since[rest] = _minus(since[rest], baseline[number])
    return since


def _minus(sums: Sums, old: Sums | None) -> Sums:
    """Subtract sums. Rounding may give results just below 0, which become 0.

    The largest variance of a sample cannot be subtracted; it stays as an upper bound.
    """
    if old is None:
        return sums
    return Sums(
        bytes=max(0.0, sums.bytes - old.bytes),
        bytes_variance=max(0.0, sums.bytes_variance - old.bytes_variance),
        bytes_largest=sums.bytes_largest if sums.samples > old.samples else 0.0,
        count=max(0.0, sums.count - old.count),
        count_variance=max(0.0, sums.count_variance - old.count_variance),
        count_largest=sums.count_largest if sums.samples > old.samples else 0.0,
        samples=max(0, sums.samples - old.samples),
    )
