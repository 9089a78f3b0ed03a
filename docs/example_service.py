"""A small service with a leak that profiles itself: the program that the pictures are made of.

    python docs/example_service.py FOLDER

Serves requests with the demo's shop, a copy of which it writes to FOLDER, for about 12 seconds. Writes
its snapshots to FOLDER/snapshots, the report to FOLDER/report.html and the allocation profile to
FOLDER/allocations.json.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import memlens
import memlens.demo

SECONDS = 12.0
REQUESTS, PAUSE_SECONDS = 12, 0.02  # requests between two pauses
ARTICLES = 6_000


def load_catalogue() -> list[dict[str, Any]]:
    """Return the articles as parsed from JSON. They stay in memory, which is no leak."""
    names = ("coat", "shoe", "lamp", "book", "bicycle")
    text = json.dumps(
        [
            {"name": f"{names[number % 5]} {number}", "tags": [f"tag {number % 90}"], "price": number}
            for number in range(ARTICLES)
        ]
    )
    return json.loads(text)  # type: ignore[no-any-return]


def search(catalogue: list[dict[str, Any]], word: str) -> list[str]:
    """Return the names of the articles with a word. The list is freed after the request."""
    return [f"{article['name']}: {article['price']}" for article in catalogue if word in article["name"]]


def serve(shop: ModuleType, catalogue: list[dict[str, Any]], number: int) -> None:
    """Serve one request."""
    shop.handle(number)
    if number % 40 == 0:
        search(catalogue, "lamp")


def serve_until_end(shop: ModuleType, profiler: memlens.MemoryProfiler) -> None:
    """Serve requests for some seconds, and mark two deploys."""
    catalogue = load_catalogue()
    deploys = [(0.35, "deploy of version 2"), (0.7, "deploy of version 3")]
    number, begin = 0, time.monotonic()
    while (passed := time.monotonic() - begin) < SECONDS:
        for number in range(number, number + REQUESTS):
            serve(shop, catalogue, number)
        number += 1
        if deploys and passed > deploys[0][0] * SECONDS:
            profiler.mark(deploys.pop(0)[1])
        time.sleep(PAUSE_SECONDS)


def import_shop(folder: Path) -> ModuleType:
    """Return the demo's shop as a module of the program: memlens leaves its own objects out."""
    source = Path(memlens.demo.__file__).with_name("shop.py").read_text(encoding="utf-8")
    (folder / "shop.py").write_text(source, encoding="utf-8")
    sys.path.insert(0, str(folder))
    return __import__("shop")


def main() -> None:
    """Serve under a profiler and write what it found."""
    folder = Path(sys.argv[1]).resolve()
    shop = import_shop(folder)
    profiler = memlens.MemoryProfiler(
        folder / "snapshots",
        sample_interval=0.2,
        snapshot_interval=SECONDS / 6,
        allocation_interval_bytes=16 * 1024,
        limit=96 << 20,
    )
    with profiler:
        serve_until_end(shop, profiler)
    report = profiler.report()
    report.to_html(folder / "report.html", source=True)
    if report.allocations is not None:
        report.allocations.save(folder / "allocations.json")


if __name__ == "__main__":
    main()
