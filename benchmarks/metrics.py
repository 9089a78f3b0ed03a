"""What it costs to tell monitoring systems about memory: a scrape, and a profile that is sent.

    python benchmarks/metrics.py [--repeat N]

The first table is of `MemoryProfiler.metrics`, which a scrape of Prometheus and a collection of
OpenTelemetry call once; with ``prometheus_client`` also of the whole text of a scrape. Rows differ in
how many objects are alive and how many allocation sites the sampler knows. The second table is of
one OTLP profile: its making, its size, compressed.
"""

from __future__ import annotations

import argparse
import gzip
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import memlens
from memlens.formats.otlp_profiles import otlp_profiles_bytes

CASES = (("small", 0, 0), ("1 M objects", 1_000_000, 0), ("10,000 sites", 0, 10_000))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeat", type=int, default=50)
    repeat = parser.parse_args().repeat
    print(f"Python {platform.python_version()}, {platform.machine()}; milliseconds")
    print(
        f"{'':14}{'metrics':>10}{'worst':>8}{'scrape':>9}{'sites':>8}{'OTLP':>9}{'KiB':>8}{'gzip':>7}"
    )
    for name, objects, sites in CASES:
        row = measure(objects, sites, repeat)
        print(f"{name:14}{row}")


def measure(objects: int, sites: int, repeat: int) -> str:
    """Return a row of the table."""
    with (
        tempfile.TemporaryDirectory() as folder,
        # With every 512th byte sampled, far more is known than by default.
        memlens.MemoryProfiler(folder, allocation_interval_bytes=512) as profiler,
    ):
        kept = [[(number,) for number in range(objects)], *allocate_at(sites)]
        metrics = milliseconds(profiler.metrics, repeat)
        scrape = scrape_milliseconds(profiler, repeat)
        found = profiler.interval_profile()
        assert found is not None
        assert kept
        profile = found[0]

        def encode() -> bytes:
            made = profiler.interval_profile()
            assert made is not None
            return otlp_profiles_bytes(made[0])

        otlp, body = milliseconds(encode, 3), encode()
        known = len(profile.by_site())
    return (
        f"{statistics.median(metrics):10.2f}{max(metrics):8.2f}{scrape:>9}{known:8,}"
        f"{statistics.median(otlp):9.0f}{len(body) / 1024:8.0f}{len(gzip.compress(body)) / 1024:7.0f}"
    )


def allocate_at(sites: int) -> list[object]:
    """Keep objects that were allocated at many lines of code, each behind a call."""
    lines = "\n".join(
        f"def f{number}():\n    return bytes(3000), bytes(3000)" for number in range(sites)
    )
    names: dict[str, Callable[[], object]] = {}
    exec(compile(lines, "generated.py", "exec"), names)
    return [names[f"f{number}"]() for number in range(sites)]


def scrape_milliseconds(profiler: memlens.MemoryProfiler, repeat: int) -> str:
    """Return the median time of a whole scrape, or '-' without the library."""
    try:
        from prometheus_client import CollectorRegistry, generate_latest
    except ImportError:
        return "-"
    from memlens.integrations.prometheus import MemlensCollector

    registry = CollectorRegistry()
    registry.register(MemlensCollector(profiler))
    return f"{statistics.median(milliseconds(lambda: generate_latest(registry), repeat)):.2f}"


def milliseconds(work: Callable[[], object], repeat: int) -> list[float]:
    """Return how long each of several calls takes."""
    work()
    found = []
    for _ in range(repeat):
        begin = time.perf_counter()
        work()
        found.append(1000 * (time.perf_counter() - begin))
    return found


if __name__ == "__main__":
    main()
