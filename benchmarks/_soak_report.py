"""The tables of `soak.py`, and its verdicts."""

from __future__ import annotations

import argparse
import json
import statistics
from dataclasses import asdict
from typing import Any

from _soak_watching import Moment, Watcher, own_bytes_of

__all__ = ("BURSTS", "BURST_SECONDS", "report")

BURST_SECONDS, BURSTS = 3.0, 8  # at the end, of each side
MIB = 1024 * 1024
MOST_OWN_GROWTH = 0.10  # of memlens's own objects, from a third of the time to the end
MOST_RSS_GROWTH_BYTES = (
    8 * MIB
)  # more than the service without memlens grew, in the last two thirds
MOST_CPU_RATIO = 1.10


def report(sides: list[Any], watcher: Watcher, options: argparse.Namespace) -> int:
    """Print what was measured; return 1 if a verdict is broken, else 0."""
    print(
        f"{options.minutes:g} minutes, {options.rate:g} requests a second to each service, load of the"
        f" machine {statistics.median(watcher.load):.1f} in the median\n"
    )
    rows = [(side.mode, latencies(side) | resources(watcher.moments[side.mode])) for side in sides]
    width = max(len(name) for name in rows[0][1])
    print(f"{'':{width}}" + "".join(f"{mode:>12}" for mode, _ in rows) + f"{'ratio':>9}")
    for name in rows[0][1]:
        values = [row[name] for _, row in rows]
        ratio = f"{values[0] / values[1]:9.2f}" if values[1] else ""
        print(f"{name:{width}}" + "".join(f"{value:12,.2f}" for value in values) + ratio)
    own = [one for one in own_bytes_of(sides[0].folder) if one[2]]
    print_own(own, watcher.moments["with"])
    verdicts = [*judged(watcher, own), *judged_errors(sides)]
    print()
    for is_kept, text in verdicts:
        print(f"{'yes' if is_kept else 'NO':4}{text}")
    if options.json:
        save(options.json, sides, watcher, own)
    return 0 if all(is_kept for is_kept, _ in verdicts) else 1


def latencies(side: Any) -> dict[str, float]:
    """Return the requests and their times in milliseconds, counted from when they were due."""
    times = sorted(1000 * seconds for _, seconds in side.times)
    return {
        "requests": len(times),
        "errors": side.errors,
        "p50, ms": times[len(times) // 2],
        "p99, ms": times[int(0.99 * len(times))],
        "p99.9, ms": times[int(0.999 * len(times))],
        "longest, ms": times[-1],
        "most requests a second, one connection": side.burst_count / (BURST_SECONDS * BURSTS),
    }


def resources(moments: list[Moment]) -> dict[str, float]:
    """Return what the service used; memory at the first third of the time, and at the end."""
    early, last = moments[len(moments) // 3], moments[-1]
    return {
        "CPU, s": last.cpu,
        "CPU of its children, s": last.child_cpu,
        "RSS at the start, MiB": moments[0].rss / MIB,
        "RSS after a third, MiB": early.rss / MIB,
        "RSS at the end, MiB": last.rss / MIB,
        "descriptors after a third": early.descriptors,
        "descriptors at the end": last.descriptors,
        "threads at the end": last.threads,
    }


def print_own(own: list[tuple[str, float, int, int, int]], moments: list[Moment]) -> None:
    """Print memlens's own objects over time, as its snapshots show them, and its pauses."""
    print("\nmemlens's own objects in its snapshots:")
    start = own[0][1] if own else 0.0
    for reason, when, count, size, _ in own[:: max(1, len(own) // 6)]:
        minutes = (when - start) / 60
        print(f"    after {minutes:5.1f} min  {count:7,} objects {size / MIB:6.2f} MiB  {reason}")
    pauses = sorted(1000 * one[4] for one in own)
    if pauses:
        print(
            f"pauses of {len(pauses)} snapshots: {statistics.median(pauses):.1f} ms in the median,"
            f" {pauses[-1]:.1f} ms the longest"
        )
    state = next((moment.state for moment in reversed(moments) if moment.state), {})
    print(f"memlens says: {json.dumps(state)[:600]}")


def judged(watcher: Watcher, own: list[tuple[str, float, int, int, int]]) -> list[tuple[bool, str]]:
    """Return the verdicts over resources, each with its rule."""
    plain, watched = watcher.moments["without"], watcher.moments["with"]
    third = len(watched) // 3
    growth = (watched[-1].rss - watched[third].rss) - (plain[-1].rss - plain[third].rss)
    early = [one[3] for one in own[len(own) // 3 : len(own) // 2 + 1]]
    late = [one[3] for one in own[-len(early) :]] if early else []
    own_growth = statistics.median(late) / statistics.median(early) - 1 if early else 0.0
    descriptors = watched[-1].descriptors - watched[third].descriptors
    return [
        (
            bool(own) and own_growth <= MOST_OWN_GROWTH,
            f"its own objects are flat: {own_growth:+.1%} since a third of the time"
            f" (at most {MOST_OWN_GROWTH:+.0%})",
        ),
        (
            growth <= MOST_RSS_GROWTH_BYTES,
            f"its memory is flat: the service grew {growth / MIB:+.1f} MiB more than without it, since"
            f" a third of the time (at most {MOST_RSS_GROWTH_BYTES / MIB:+.0f})",
        ),
        (descriptors <= 2, f"descriptors are flat: {descriptors:+} (at most +2)"),
        (
            watched[-1].cpu <= MOST_CPU_RATIO * plain[-1].cpu,
            f"the service used {watched[-1].cpu / plain[-1].cpu:.2f} times the CPU"
            f" (at most {MOST_CPU_RATIO})",
        ),
        *accusations(watched),
    ]


def accusations(moments: list[Moment]) -> list[tuple[bool, str]]:
    """Return the verdict that the healthy service was not accused."""
    states = [moment.state for moment in moments if moment.state]
    alerts = max((len(state.get("alerts", ())) for state in states), default=0)
    return [(alerts == 0, f"the healthy service was not accused: {alerts} alerts")]


def judged_errors(sides: list[Any]) -> list[tuple[bool, str]]:
    """Return the verdict that all requests were answered, and that memlens printed nothing."""
    errors = sum(side.errors for side in sides)
    with open(f"{sides[0].folder}/log", encoding="utf-8", errors="replace") as log:
        said = [line for line in log if "memlens" in line or "Traceback" in line]
    return [
        (errors == 0, f"all requests were answered: {errors} errors"),
        (not said, f"nothing about memlens in its log: {len(said)} lines {''.join(said[:2])}"),
    ]


def save(path: str, sides: list[Any], watcher: Watcher, own: list[Any]) -> None:
    """Write all numbers as JSON."""
    moments = {mode: [asdict(one) for one in many] for mode, many in watcher.moments.items()}
    times = {side.mode: side.times for side in sides}
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"moments": moments, "own": own, "times": times, "load": watcher.load}, file)
