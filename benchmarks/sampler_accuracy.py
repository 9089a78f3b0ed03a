"""Are the estimates right, and do their standard errors say how wrong they may be? One table.

    python benchmarks/sampler_accuracy.py [--seeds 100] [--interval 65536]

One program of known sites is run exactly (interval 1) for the truth, then once for each seed with
sampling. Per site: the mean of the estimates over the truth, that mean's distance from the truth in
its own standard errors, and how often the truth lies within 3 standard errors of a single estimate.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from memlens._core import _sampler
from memlens.allocations.profile.rows import merged
from memlens.allocations.sampling.site_tables import rows_of

INTERVAL_BYTES = 64 * 1024  # many samples in a short program
MEASURES = ("allocated_bytes", "allocated_count", "live_bytes", "live_count")


def tiny():
    return bytes(64 - 33)


def huge():
    return bytes(2 * 1024 * 1024)


def one_site(size):
    return bytes(size)


def middle():
    return bytes(8000)


def text(number):
    return "x" * (number % 300)


def program():
    """Small and large blocks, interleaved at several sites and at one; half of it is kept."""
    kept = []
    for i in range(60_000):
        block = tiny()
        if i % 2:
            kept.append(block)
        if i % 1000 == 0:
            kept.append(huge())
            huge()
        kept.append(one_site(31))
        if i % 1000 == 1:
            kept.append(one_site(2 * 1024 * 1024))
        if i % 20 == 0:
            middle()
        kept.append(text(i))
    return kept


SITES = ("tiny", "huge", "one_site", "middle", "text")
ALL = "all sites"  # with the program's own lists and frames


def run(interval_bytes, seed):
    """Return {site: row} of one run, for the sites named above."""
    _sampler.start(interval_bytes, 1 << 20 if interval_bytes == 1 else 1 << 16, seed)
    kept = program()
    tables = _sampler.site_tables(0)
    dropped = _sampler.health()["dropped_samples"]
    _sampler.stop()
    assert not dropped
    del kept
    by_site = {}
    for row in rows_of(tables, {}, 0, {}):
        by_site.setdefault(row.call_path[-1].function, []).append(row)
    sites = {name: merged(by_site[name], ()) for name in SITES if name in by_site}
    return {**sites, ALL: merged([row for rows in by_site.values() for row in rows], ())}


def report(seeds, interval_bytes):
    truth = run(1, 1)
    runs = [run(interval_bytes, seed) for seed in range(1, seeds + 1)]
    print(f"interval {interval_bytes} bytes, {seeds} seeds")
    header = ("site", "measure", "truth", "samples", "mean/truth", "bias/SE", "within 3 SE")
    print("{:10}{:18}{:>14}{:>10}{:>12}{:>10}{:>13}".format(*header))
    within_all = []
    for site in (*SITES, ALL):
        for measure in MEASURES:
            expected = getattr(truth[site], measure)
            if not expected:
                continue
            estimates = [getattr(r[site], measure) if site in r else 0.0 for r in runs]
            errors = [getattr(r[site], measure + "_stderr") if site in r else 0.0 for r in runs]
            field = measure.split("_")[0] + "_samples"
            samples = statistics.mean(getattr(r[site], field) if site in r else 0 for r in runs)
            mean = statistics.mean(estimates)
            mean_error = statistics.stdev(estimates) / math.sqrt(seeds)
            within = statistics.mean(
                abs(e - expected) <= 3 * s for e, s in zip(estimates, errors, strict=True)
            )
            if samples >= 30 and site != ALL:
                within_all.append(within)
            bias = (mean - expected) / mean_error if mean_error else 0.0
            print(
                f"{site:10}{measure:18}{expected:14.0f}{samples:10.1f}{mean / expected:12.4f}"
                f"{bias:10.2f}{100 * within:11.1f} %"
            )
    print(f"within 3 SE, sites with >= 30 samples: {100 * statistics.mean(within_all):.2f} %")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--interval", type=int, default=INTERVAL_BYTES)
    arguments = parser.parse_args()
    report(arguments.seeds, arguments.interval)


if __name__ == "__main__":
    main()
