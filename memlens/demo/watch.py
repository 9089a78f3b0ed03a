"""Runs the demo shop under a profiler and returns the report of its leak."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from types import ModuleType

from memlens.heap.capture import take_heap_snapshot
from memlens.leaks.report import LeakReport, make_leak_report

__all__ = ("run_demo",)

_WARM_UP, _ROUNDS, _REQUESTS = 300, 3, 400


def run_demo(say: Callable[[str], None]) -> LeakReport:
    """Serve some requests with the demo shop, take snapshots between them, and look for the leak.

    ``say`` is called with a line of progress at each step.
    """
    with tempfile.TemporaryDirectory(prefix="memlens-demo-") as folder:
        shop = _import_shop(folder)
        try:
            number = _serve(shop, 0, _WARM_UP)
            say(f"shop.py served {number} requests to warm up")
            snapshots = [take_heap_snapshot(reason="baseline")]
            for _ in range(_ROUNDS):
                number = _serve(shop, number, _REQUESTS)
                snapshots.append(take_heap_snapshot(reason="periodic"))
                say(f"{number} requests served, {snapshots[-1].object_count:,} objects captured")
            return make_leak_report(snapshots, limit=3)
        finally:
            sys.modules.pop("shop", None)


def _import_shop(folder: str) -> ModuleType:
    # A copy outside the package: to memlens the shop is somebody else's program.
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "shop.py")
    path = shutil.copy(source, folder)
    spec = importlib.util.spec_from_file_location("shop", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["shop"] = module
    spec.loader.exec_module(module)
    return module


def _serve(shop: ModuleType, number: int, count: int) -> int:
    for number in range(number, number + count):
        shop.handle(number)
    return number + 1
