"""What importing and starting memlens loads: a service pays for that at each start."""

from __future__ import annotations

import subprocess
import sys

import pytest

LISTED = """
import sys
before = set(sys.modules)
{code}
print(*sorted(set(sys.modules) - before))
"""
STARTED = """
import memlens
with memlens.MemoryProfiler(sys.argv[1]) as profiler:
    memlens.take_heap_snapshot()
str(profiler.report())
"""
# Slow to import, or large, or of an extra: loaded by what needs them.
HEAVY = {
    "asyncio", "concurrent", "duckdb", "email", "html", "http", "multiprocessing", "numpy", "objgraph",
    "pyarrow", "rich", "sqlite3", "ssl", "textual", "tomllib", "unittest", "xml",
}  # fmt: skip


def loaded_by(code: str, *arguments: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", LISTED.format(code=code), *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


def test_importing_memlens_loads_two_of_its_modules_and_little_of_the_standard_library():
    loaded = loaded_by("import memlens")
    own = {name for name in loaded if name.split(".")[0] == "memlens"}
    assert own == {"memlens", "memlens._lazy"}
    others = {name.split(".")[0] for name in loaded - own}
    assert others <= sys.stdlib_module_names
    assert len(others) <= 40


@pytest.mark.parametrize("code", ["import memlens", STARTED])
def test_nothing_heavy_is_loaded_before_it_is_used(code, tmp_path):
    roots = {name.split(".")[0] for name in loaded_by(code, str(tmp_path / "snapshots"))}
    assert not roots & HEAVY


def test_a_running_profiler_loads_one_library_only(tmp_path):
    roots = {name.split(".")[0] for name in loaded_by(STARTED, str(tmp_path / "snapshots"))}
    libraries = roots - sys.stdlib_module_names - {"memlens"}
    assert {name for name in libraries if not name.startswith("_")} == {"psutil"}
