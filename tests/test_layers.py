"""Who may import whom: downwards only, imports for type checking included."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "memlens"
ROOT = "memlens"

# Each room with the rooms below it. A room is a module or a folder of the package.
LAYERS: list[set[str]] = [
    {"__main__"},
    {"cli", "integrations"},
    {"commands"},
    {"run", "demo"},
    {"profiler", "decorators", "files", "script"},
    {"report", "formats", "watch"},
    {"leaks"},
    {"process", "allocations", "heap"},
    {"_core", "structures", "_files", "_text"},
    {"errors"},
]
# Stricter than their layer: these lift out of the house with no more than this.
ONLY = {
    "structures": set(),
    "_core": {"errors"},
    "_files": {"errors"},
    "_text": set(),
    "script": {"errors"},
}
MODULES = sorted(PACKAGE.rglob("*.py"))


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def level_of(room: str) -> int:
    for level, rooms in enumerate(LAYERS):
        if room in rooms:
            return level
    raise AssertionError(f"memlens/{room} has no room in the house: add it to LAYERS")


def rooms_imported(path: Path) -> set[str]:
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: imports are absolute here"
            names = [node.module or ""]
            if node.module == ROOT:  # from memlens import _core, __version__
                names = [f"{ROOT}.{alias.name}" for alias in node.names]
        rooms |= {name.split(".")[1] for name in names if name.startswith(ROOT + ".")}
    return rooms - {"__version__"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_only_downwards(path):
    room = room_of(path)
    if room == "__init__":
        return  # the package root stands above all
    allowed = ONLY.get(room)
    for other in rooms_imported(path) - {room}:
        if allowed is not None:
            assert other in allowed, f"{room} must not import {other}"
        assert level_of(other) > level_of(room), f"{room} must not import {other}: not below it"


def test_the_check_sees_an_import_that_goes_up(tmp_path):
    wrong = tmp_path / "wrong.py"
    wrong.write_text("def f():\n    from memlens.profiler import MemoryProfiler\n")
    assert rooms_imported(wrong) == {"profiler"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_module_says_what_it_exports(path):
    if path.name in {"__init__.py", "__main__.py"} or path.parent.name == "demo":
        return
    name = ".".join([ROOT, *path.relative_to(PACKAGE).with_suffix("").parts])
    module = importlib.import_module(name)
    assert type(module.__all__) is tuple
    assert list(module.__all__) == sorted(module.__all__, key=_in_ruffs_order)
    for exported in module.__all__:
        assert hasattr(module, exported)


def _in_ruffs_order(name: str) -> tuple[int, str]:
    """Constants, then classes, then the rest: as ruff sorts ``__all__``."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2, name)


def test_every_module_imports_alone():
    modules = [
        ".".join([ROOT, *path.relative_to(PACKAGE).with_suffix("").parts])
        for path in MODULES
        if path.name not in {"__init__.py", "__main__.py"} and path.parent.name != "demo"
    ]
    script = (
        "import importlib, sys\n"
        "for name in sys.argv[1:]:\n"
        "    for loaded in [m for m in sys.modules if m.split('.')[0] == 'memlens']:\n"
        "        del sys.modules[loaded]\n"
        "    importlib.import_module(name)\n"
    )
    subprocess.run(
        [sys.executable, "-W", "error", "-c", script, *modules], check=True, cwd=PACKAGE.parent
    )
