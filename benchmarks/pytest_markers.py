"""What ``limit_memory`` measures and costs, and what ``no_leaks`` finds, beside pytest-memray.

    python benchmarks/pytest_markers.py

Runs the same tests without a plugin, with memlens and, where it is installed, with pytest-memray, each
in a process of its own, and prints the peak that each reports and the seconds that the call took.
``resident`` is memlens's other measure. Then tests that leak, and some that do not, run under
``no_leaks`` and under pytest-memray's ``limit_leaks("1 KB")``.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TESTS = """
import sqlite3, sys, zlib
import pytest

class Point:
    def __init__(self, x):
        self.x = x

def bytes_of_python():
    block = bytearray(32_000_000)

def many_objects():
    points = [Point(str(number)) for number in range(200_000)]

def text_of_lines():
    lines = [f"line {number}" for number in range(300_000)]
    text = "".join(lines)

def numpy_array():
    numpy = pytest.importorskip("numpy")
    array = numpy.ones(4_000_000)

def sqlite_in_memory():
    database = sqlite3.connect(":memory:")
    database.execute("create table rows (value text)")
    database.executemany("insert into rows values (?)", (("x" * 1000,) for _ in range(20_000)))
    database.close()

@pytest.mark.limit_memory(LIMIT)
@pytest.mark.parametrize("work", [
    bytes_of_python, many_objects, text_of_lines, numpy_array, sqlite_in_memory
], ids=lambda work: work.__name__)
def test_work(work):
    work()
"""
LEAK_TESTS = """
import functools, logging, re, unittest
import pytest

KEPT = []

class Session:
    pass

@functools.lru_cache(maxsize=None)
def cached(key):
    return [key] * 100

@pytest.mark.LEAKS
def test_keeps_a_small_object():
    KEPT.append(Session())

@pytest.mark.LEAKS
def test_keeps_100_kB():
    KEPT.append(bytes(100_000))

class Case(unittest.TestCase):
    @pytest.mark.LEAKS
    def test_keeps_100_kB_in_unittest(self):
        KEPT.append(bytes(100_000))

@pytest.mark.LEAKS
def test_fills_an_lru_cache():
    for key in range(50):
        cached(key)

@pytest.mark.LEAKS
def test_imports_modules():
    import colorsys, wave

@pytest.mark.LEAKS
def test_logs_2_kB(caplog):
    logging.getLogger("app").warning("x" * 2000)

@pytest.mark.LEAKS
def test_compiles_a_regular_expression():
    re.compile("a+b(c|d)*[x-z]{2,5}")

@pytest.mark.LEAKS
def test_makes_a_cycle_of_100_kB():
    session = Session()
    session.itself, session.data = session, bytes(100_000)
"""
LEAK_MARKERS = {"memlens": "no_leaks", "memray": "limit_leaks('1 KB')"}
PROBE = """
import json

def pytest_runtest_logreport(report):
    if report.when == "call":
        with open("report.jsonl", "a") as file:
            row = [report.nodeid, report.duration, str(report.longrepr), report.outcome]
            file.write(json.dumps(row) + "\\n")
"""
# What pytest is started with, and the limit: of 1 byte, so that the failure tells the peak.
PLUGINS = {
    "none": (["-p", "no:memlens", "-p", "no:memray", "-W", "ignore"], "'1 B'"),
    "memlens": (["-p", "no:memlens", "-p", "memlens.integrations.pytest", "-p", "no:memray"], "1"),
    "resident": (
        ["-p", "no:memlens", "-p", "memlens.integrations.pytest", "-p", "no:memray"],
        "1, measure='resident'",
    ),
    "memray": (["-p", "no:memlens"], "'1 B'"),
}
PEAK = re.compile(
    r"rose by ([\d.]+) (B|KiB|MiB|GiB)|limited to [\d.]+\w+ but allocated ([\d.]+)(\w+)"
)
UNITS = {"B": 1, "KiB": 1024, "MiB": 1 << 20, "GiB": 1 << 30}


def run(options: list[str], tests: str) -> list[list]:
    """Return a row for each test: its id, the seconds of the call, the failure and the outcome."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "conftest.py").write_text(PROBE)
        Path(folder, "test_it.py").write_text(tests)
        subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options],
            cwd=folder,
            env={"PYTHONPATH": str(ROOT), "PATH": ""},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,  # tests fail by design
        )
        return [json.loads(line) for line in Path(folder, "report.jsonl").read_text().splitlines()]


def peaks(plugin: str) -> dict[str, tuple[float, int | None]]:
    """Return seconds and the reported peak in bytes by the name of the work."""
    options, limit = PLUGINS[plugin]
    rows = run(options, TESTS.replace("LIMIT", limit))
    return {name[name.index("[") + 1 : -1]: (spent, peak_in(text)) for name, spent, text, _ in rows}


def leaks(plugin: str) -> dict[str, str]:
    """Return the outcomes of the tests that leak, and of those that do not."""
    rows = run(PLUGINS[plugin][0], LEAK_TESTS.replace("LEAKS", LEAK_MARKERS[plugin]))
    return {name.rpartition("::test_")[2]: outcome for name, _, _, outcome in rows}


def peak_in(text: str) -> int | None:
    match = PEAK.search(text)
    if match is None:
        return None
    size, unit = (match[1], match[2]) if match[1] else (match[3], match[4])
    return round(float(size) * UNITS[unit])


def main() -> None:
    versions = {"pytest": importlib.metadata.version("pytest")}
    plugins = ["none", "memlens", "resident"]
    if importlib.util.find_spec("pytest_memray"):
        plugins.append("memray")
        versions |= {name: importlib.metadata.version(name) for name in ("pytest-memray", "memray")}
    print("Python", sys.version.split()[0], *(f"{name} {text}" for name, text in versions.items()))
    results = {plugin: peaks(plugin) for plugin in plugins}
    print(f"{'work':18}" + "".join(f"{plugin:>22}" for plugin in plugins))
    for work in results["none"]:
        cells = []
        for plugin in plugins:
            seconds, peak_bytes = results[plugin][work]
            peak = "" if peak_bytes is None else f"{peak_bytes / (1 << 20):.1f} MiB"
            cells.append(f"{peak:>12}{seconds:>8.2f} s")
        print(f"{work:18}" + "".join(cells))
    found = {plugin: leaks(plugin) for plugin in plugins if plugin in LEAK_MARKERS}
    print("\ntest".ljust(35) + "".join(f"{LEAK_MARKERS[plugin]:>22}" for plugin in found))
    for test in found["memlens"]:
        print(f"{test:34}" + "".join(f"{outcomes[test]:>22}" for outcomes in found.values()))


if __name__ == "__main__":
    main()
