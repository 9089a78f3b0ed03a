"""What do appending to a series and asking it for a range cost, beside a deque and lists?

    python benchmarks/structures_series.py [--points N]

Ratios of medians in one run: below 1 a series is faster.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import time
from bisect import bisect_left, bisect_right
from collections import deque
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from memlens.structures import NumericTimeSeries

ROUNDS = 9
QUERIES = 2000


def median_seconds(function):
    times = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        function()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def fill_series(series, count):
    add = series.add
    for i in range(count):
        add(float(i), 1.0)


def fill_deque(count):
    append = deque(maxlen=count).append
    for i in range(count):
        append((float(i), 1.0))


def range_on_lists(times, values, start, end):
    low, high = bisect_left(times, start), bisect_right(times, end)
    return times[low:high], values[low:high]


def linear_scan(times, values, start, end):
    return [(t, v) for t, v in zip(times, values, strict=True) if start <= t <= end]


def row(name, ours, theirs, peer):
    print(f"{name:34s}{ours * 1e9:12.0f} ns{theirs * 1e9:14.0f} ns  {peer:24s}{ours / theirs:8.3f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=1_000_000)
    points = parser.parse_args().points
    print(f"{'':34s}{'series':>15s}{'peer':>17s}  {'':24s}{'ratio':>8s}")

    count = 100_000
    ours = median_seconds(lambda: fill_series(NumericTimeSeries(count), count)) / count
    row("add", ours, median_seconds(lambda: fill_deque(count)) / count, "deque.append of a tuple")

    series = NumericTimeSeries(points)
    fill_series(series, points)
    times, values = [float(i) for i in range(points)], [1.0] * points
    generator = random.Random(1)
    for width in (10, 100, 1000):
        starts = [generator.randrange(points - width) for _ in range(QUERIES)]

        def ask_series(starts=starts, width=width):
            for start in starts:
                series.range(start, start + width)

        def ask_lists(starts=starts, width=width):
            for start in starts:
                range_on_lists(times, values, start, start + width)

        ours = median_seconds(ask_series) / QUERIES
        row(f"range of {width}", ours, median_seconds(ask_lists) / QUERIES, "bisect on lists")
    started = time.perf_counter()
    linear_scan(times, values, points // 2, points // 2 + 1000)
    row("range of 1000", ours, time.perf_counter() - started, "linear scan of lists")


if __name__ == "__main__":
    main()
