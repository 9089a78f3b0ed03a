"""Runs the demo shop, takes snapshots meanwhile, and returns the report of its leak."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from memlens.heap.capture.take import take_heap_snapshot
from memlens.leaks.leak_report import LeakReport, find_leaks

__all__ = ("run_demo",)

_WARM_UP, _ROUNDS, _REQUESTS = 300, 3, 400


def run_demo(show_progress: Callable[[str], None]) -> LeakReport:
    """Serve requests with the demo shop, take snapshots between them, and search for the leak.

    ``show_progress`` is called with a line of text after each step.
    """
    shop = _import_shop()
    try:
        number = _serve(shop, 0, _WARM_UP)
        show_progress(f"shop.py served {number} requests to warm up")
        snapshots = [take_heap_snapshot(reason="baseline")]
        for _ in range(_ROUNDS):
            number = _serve(shop, number, _REQUESTS)
            snapshots.append(take_heap_snapshot(reason="periodic"))
            show_progress(
                f"{number} requests served, {snapshots[-1].object_count:,} objects captured"
            )
        return find_leaks(snapshots, limit=3)
    finally:
        sys.modules.pop("shop", None)


def _import_shop() -> ModuleType:
    # A module outside the package, because memlens leaves its own objects out of every view.
    source = Path(__file__).with_name("shop.py").read_text(encoding="utf-8")
    module = ModuleType("shop")
    sys.modules["shop"] = module
    exec(compile(source, "shop.py", "exec", dont_inherit=True), module.__dict__)
    return module


def _serve(shop: ModuleType, number: int, count: int) -> int:
    for request in range(number, number + count):
        shop.handle(request)
    return number + count
