"""pyperformance's own benchmarks, taken out of its package: what they would time, as functions.

Their scripts hand functions to ``pyperf.Runner``; a stand-in collects them instead. Benchmarks
whose dependencies are not installed are left out, and said so on stderr.
"""

from __future__ import annotations

import argparse
import runpy
import sys
import time
from pathlib import Path

__all__ = ("applications",)

NAMES = [
    "json_loads",
    "json_dumps",
    "pickle",
    "deltablue",
    "richards",
    "chaos",
    "raytrace",
    "nqueens",
    "pyflate",
    "logging",
    "regex_compile",
    "regex_effbot",
    "xml_etree",
    "html5lib",
    "mako",
    "sqlglot_v2",
    "tomli_loads",
    "deepcopy",
    "go",
    "hexiom",
    "unpack_sequence",
    "generators",
    "coroutines",
    "async_tree",
    "comprehensions",
    "pprint",
    "chameleon",
    "crypto_pyaes",
]
ARGUMENTS = {"pickle": ["pickle"], "sqlglot_v2": ["optimize"], "async_tree": ["memoization"]}
ROUND_SECONDS = 0.15


class Collector:
    """Stands in for ``pyperf.Runner``."""

    def __init__(self, *arguments, **options):
        self.argparser = argparse.ArgumentParser()
        self.metadata = {}
        self.args = None
        found.append(self)
        self.works = {}

    def parse_args(self, arguments=None):
        self.args = self.argparser.parse_args(arguments)
        return self.args

    def bench_func(self, name, function, *arguments, **options):
        self.works[name] = lambda: function(*arguments)

    def bench_time_func(self, name, function, *arguments, **options):
        self.works[name] = lambda: function(1, *arguments)

    def bench_async_func(self, name, function, *arguments, **options):
        import asyncio

        self.works[name] = lambda: asyncio.run(function(*arguments))


found = []


def scripts():
    import pyperformance

    folder = Path(pyperformance.__file__).parent / "data-files" / "benchmarks"
    return {name: folder / f"bm_{name}" / "run_benchmark.py" for name in NAMES}


def repeated(work):
    """Repeat short benchmarks, so that a round takes long enough to be timed."""
    begin = time.perf_counter()
    work()
    once = max(time.perf_counter() - begin, 1e-6)
    times = max(1, round(ROUND_SECONDS / once))

    def rounds():
        for _ in range(times):
            work()

    return rounds


def collected(script, arguments):
    import pyperf

    original, pyperf.Runner = pyperf.Runner, Collector
    argv, path = sys.argv[:], sys.path[:]
    sys.argv, sys.path[:0] = [str(script), *arguments], [str(script.parent)]
    found.clear()
    try:
        runpy.run_path(str(script), run_name="__main__")
    finally:
        pyperf.Runner = original
        sys.argv, sys.path[:] = argv, path
    return {name: work for collector in found for name, work in collector.works.items()}


def applications():
    works = {}
    for name, script in scripts().items():
        try:
            for work_name, work in list(collected(script, ARGUMENTS.get(name, [])).items())[:2]:
                works[work_name] = repeated(work)
        except (ImportError, SystemExit) as error:
            print(f"{name} left out: {error!r}", file=sys.stderr)
    return works
