"""How often does the leak detector cry wolf, what does it miss, how soon and how exactly?

    python benchmarks/detector.py [--seeds 100] [--first 1000] [--families L01,N11] [--long]

Prints one line a family beside three peers in the same run: the guide's detector (two points and a
regression over 30 readings), a plain Mann-Kendall test, and the R-squared rule of Precog. The
detector was tuned on seeds below 700 of all but the long families; the defaults of ``--first``
judge on seeds it never saw. X10, X11 and X08 show the limit of the method, a healthy rise that
outlasts the least window, and are kept out of the mean of false alarms.
Week-long families take minutes and run with ``--long`` only, also with a window of 26 hours.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent)]

import traces  # noqa: E402  # beside this file, which is no package

from memlens.process.detector.leak_detector import MemoryLeakDetector, Verdict  # noqa: E402  # as above

WARMUP, WINDOW = 900.0, 7200.0
BEYOND_THE_WINDOW = ("X08", "X10", "X11")
Peer = Callable[[traces.Trace], "float | None"]


def guide(trace: traces.Trace) -> float | None:
    """The guide's detector: growth of 20 % over 30 readings of 10 s, and a rising regression."""
    times, values = trace.times[::2], trace.values[::2]
    window, x = 30, np.arange(30.0)
    if len(values) < window:
        return None
    slices = np.lib.stride_tricks.sliding_window_view(values, window)
    slopes = ((slices - slices.mean(1, keepdims=True)) * (x - x.mean())).sum(1)
    fired = (slices[:, -1] / slices[:, 0] - 1 > 0.2) & (slopes > 0)
    return float(times[int(fired.argmax()) + window - 1]) if fired.any() else None


def _five_minutes(trace: traces.Trace, reduce: Callable[..., np.ndarray]) -> np.ndarray:
    edges = np.searchsorted(trace.times, np.arange(WARMUP, trace.times[-1] + 1, 300.0))
    parts = [p for p in np.split(trace.values, edges)[1:-1] if p.size]
    return np.asarray([reduce(part) for part in parts])


def _looks(points: np.ndarray) -> Iterator[tuple[np.ndarray, float]]:
    for count in range(int(WINDOW / 300), len(points) + 1, 2):
        yield points[:count], WARMUP + 300.0 * count


def mann_kendall(trace: traces.Trace) -> float | None:
    """Plain Mann-Kendall at 0.1 % over all means of five minutes, looked at every ten."""
    for y, now in _looks(_five_minutes(trace, np.mean)):
        n = len(y)
        score = np.sign(y[None, :] - y[:, None])[np.triu_indices(n, 1)].sum()
        if score / np.sqrt(n * (n - 1) * (2 * n + 5) / 18) > 3.29:
            return now
    return None


def r_squared(trace: traces.Trace) -> float | None:
    """A rising line with R-squared of 0.88 over medians of five minutes (the rule of Precog)."""
    for y, now in _looks(_five_minutes(trace, np.median)):
        x = np.arange(len(y))
        r = np.corrcoef(x, y)[0, 1] if y.std() > 0 else 0.0
        if r > 0 and r * r >= 0.88:
            return now
    return None


def memlens(trace: traces.Trace, **options: float) -> tuple[float | None, Verdict, float]:
    """Feed a trace; return when it first said leak, that verdict, and seconds a reading."""
    detector = MemoryLeakDetector(**options)
    observe, first, verdict = detector.observe, None, detector.verdict
    pairs = list(zip(trace.times.tolist(), trace.values.tolist(), strict=True))
    began = time.perf_counter()
    for at, value in pairs:
        said = observe(value, at)
        if first is None and said.state == "leak":
            first, verdict = at, said
    return first, verdict, (time.perf_counter() - began) / len(pairs)


def judge_family(name: str, seeds: range, peers: dict[str, Peer], **options: float) -> dict:
    """Return what a family's row says."""
    found, delays, covered, errors, cost = 0, [], [], [], []
    hits = dict.fromkeys(peers, 0)
    for seed in seeds:
        trace = traces.generate(name, seed)
        at, verdict, seconds = memlens(trace, **options)
        cost.append(seconds)
        for peer, rule in peers.items():
            hits[peer] += rule(trace) is not None
        if at is None:
            continue
        found += 1
        delays.append(at - trace.onset_seconds)
        truth = trace.slope_bytes_per_hour
        if truth is not None:
            low, high = verdict.interval_bytes_per_hour
            covered.append(low <= truth <= high)
            errors.append(abs(verdict.slope_bytes_per_hour / truth - 1))
    count = len(seeds)
    return {
        "leaks": traces.generate(name, seeds[0]).leaks,
        "rate": found / count,
        "delay": float(np.median(delays)) if delays else None,
        "covered": float(np.mean(covered)) if covered else None,
        "error": float(np.median(errors)) if errors else None,
        "cost": float(np.mean(cost)),
        "peers": {peer: hit / count for peer, hit in hits.items()},
    }


def row_text(name: str, row: dict) -> str:
    """Return one line of the table."""
    found = f"{row['rate']:.3f}"
    delay = "" if row["delay"] is None or not row["leaks"] else f"{row['delay'] / 60:.0f}"
    covered = "" if row["covered"] is None else f"{row['covered']:.2f}"
    error = "" if row["error"] is None else f"{100 * row['error']:.1f}"
    peers = "".join(f"{rate:>8.3f}" for rate in row["peers"].values())
    cost = f"{1e6 * row['cost']:.1f}"
    kind = "recall" if row["leaks"] else "false"
    return f"{name:<26}{kind:<7}{found:>7}{delay:>8}{covered:>9}{error:>8}{cost:>9}{peers}"


def cost_without_test() -> float:
    """Return the seconds that a reading takes inside a bucket, the best of several rounds."""
    detector = MemoryLeakDetector()
    observe, best = detector.observe, float("inf")
    for turn in range(20):
        stamps = [turn * 140.0 + i * 0.001 for i in range(2000)]
        observe(1e8, turn * 140.0)
        began = time.perf_counter()
        for stamp in stamps:
            observe(1e8, stamp)
        best = min(best, (time.perf_counter() - began) / len(stamps))
    return best


def state_bytes(value: object, seen: set[int]) -> int:
    """Return the size of an object and all it holds, without classes and functions."""
    if id(value) in seen or isinstance(value, (type, str, bool)) or callable(value):
        return 0
    seen.add(id(value))
    size = sys.getsizeof(value)
    for slot in [s for c in type(value).__mro__ for s in getattr(c, "__slots__", ())]:
        size += state_bytes(getattr(value, slot, None), seen)
    if isinstance(value, (list, tuple)):
        size += sum(state_bytes(item, seen) for item in value)
    if isinstance(value, dict):
        size += sum(state_bytes(item, seen) for pair in value.items() for item in pair)
    return size


def print_means(rows: dict[str, dict], peers: dict[str, Peer]) -> None:
    for leaks, what in ((True, "mean recall"), (False, "mean false alarms")):
        chosen = [
            row
            for name, row in rows.items()
            if row["leaks"] == leaks and not name.startswith(BEYOND_THE_WINDOW)
        ]
        if chosen:
            means = [np.mean([row["peers"][peer] for row in chosen]) for peer in peers]
            mean = np.mean([row["rate"] for row in chosen])
            print(f"{what:<33}{mean:>7.4f}{'':>34}" + "".join(f"{m:>8.3f}" for m in means))


def print_cost(seed: int) -> None:
    detector = MemoryLeakDetector()
    trace = traces.generate("L01_linear", seed)
    for at, value in zip(trace.times.tolist(), trace.values.tolist(), strict=True):
        detector.observe(value, at)
    print(
        f"a reading without a test: {1e6 * cost_without_test():.2f} us; "
        f"state after six hours and an alert: {state_bytes(detector, set())} bytes"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--first", type=int, default=1000)
    parser.add_argument("--families", default="", help="beginnings of names, with commas")
    parser.add_argument("--long", action="store_true", help="the week-long families")
    args = parser.parse_args()
    seeds = range(args.first, args.first + args.seeds)
    wanted = tuple(args.families.split(",")) if args.families else ("",)
    names = [
        name
        for name in traces.FAMILIES
        if name.startswith(wanted) and ("diurnal" in name) == args.long
    ]
    # Plain Mann-Kendall over a week is quadratic in thousands of points.
    peers: dict[str, Peer] = (
        {} if args.long else {"guide": guide, "plain MK": mann_kendall, "R^2": r_squared}
    )
    print(
        f"seeds {seeds[0]}-{seeds[-1]}; delay in minutes after max(onset, start); "
        "cover: the 99.9 % interval holds the true slope; the last columns: what peers fire at"
    )
    print(
        f"{'family':<33}{'memlens':>7}{'delay':>8}{'cover':>9}{'err %':>8}{'us/read':>9}"
        + "".join(f"{peer:>9}" for peer in peers).replace("  ", " ", 1)
    )
    rows = {}
    for name in names:
        rows[name] = judge_family(name, seeds, peers)
        print(row_text(name, rows[name]), flush=True)
        if args.long:
            slow = judge_family(name, seeds, {}, min_window_seconds=26 * 3600.0)
            print(row_text("  with a window of 26 h", slow), flush=True)
    print_means(rows, peers)
    print_cost(args.first)


if __name__ == "__main__":
    main()
