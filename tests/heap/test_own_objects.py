"""memlens recognizes its own frames wherever it is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from memlens import _core

PACKAGE = Path(_core.__file__).resolve().parent.parent
SCRIPT = """
import sys
import memlens

def frames_of(mode):
    graph = memlens.take_heap_snapshot(mode=mode).graph
    return [graph.string(number) for number in graph.frame_file]

for mode in sys.argv[1:]:
    print(mode, [name for name in frames_of(mode) if "memlens" in name])
kept = [bytearray(100_000)]
print(len(memlens.why_alive(kept[0])), memlens.retained_size(kept[0]) < 200_000)
"""


MODES = {"pure": ["inline"], "native": ["inline", "fork"]}  # of captures, by core
FOLDERS = ["plain", "grün", "雪", "\N{SNOWMAN} 🐍", "undecodable\udcff"]


def run(script, core, folder, root):
    """Run a script that gets the modes of captures, with the memlens below ``root``."""
    if core == "native" and _core.IMPLEMENTATION == "pure":
        pytest.skip("needs the native core")
    return subprocess.run(
        [sys.executable, "-c", script, *MODES[core]],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(root), "MEMLENS_PURE": "01"[core == "pure"]},
    )


@pytest.mark.parametrize("folder", FOLDERS)
@pytest.mark.parametrize("core", ["pure", "native"])
def test_own_frames_are_left_out_in_any_folder(tmp_path, core, folder):
    if core == "native" and sys.version_info >= (3, 12) and not folder.isprintable():
        pytest.skip("CPython loads no extension from such a folder")
    root = tmp_path / folder
    try:
        root.mkdir()
    except OSError:
        pytest.skip("this file system cannot store the name")
    shutil.copytree(PACKAGE, root / "memlens", ignore=shutil.ignore_patterns("__pycache__"))
    done = run(SCRIPT, core, tmp_path, root)
    lines = done.stdout.splitlines()
    assert lines == [*(f"{mode} []" for mode in MODES[core]), "1 True"], done.stderr


KEEPER = """
import sys
import memlens

class Service:
    def __init__(self):
        self.snapshots = []
        self.blob = bytearray(10_000)

SERVICE = Service()
modes = sys.argv[1:]
for mode in modes:
    SERVICE.snapshots.append(memlens.take_heap_snapshot(mode=mode, values=True))
for mode in modes:
    snapshot = memlens.take_heap_snapshot(mode=mode)
    rows = {row.name: row for row in snapshot.summary()}
    total = snapshot.summary().shallow_bytes
    assert all(row.retained_bytes <= total for row in rows.values()), rows
    assert 10_000 < rows["__main__.Service"].retained_bytes < 15_000, rows["__main__.Service"]
    assert rows["__main__.Service"].retained_native_bytes == 0
    (service,) = snapshot.find(lambda node: node.type_name == "__main__.Service")
    assert service.retained_bytes < 15_000
    assert snapshot.graph.retained_bytes(0) == total, (snapshot.graph.retained_bytes(0), total)
"""


@pytest.mark.parametrize("core", ["pure", "native"])
def test_what_memlens_keeps_is_not_retained_by_the_program(tmp_path, core):
    done = run(KEEPER, core, tmp_path, PACKAGE.parent)
    assert done.returncode == 0, done.stderr
