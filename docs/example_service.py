"""A small service with a leak that profiles itself: the program that the pictures are made of.

It serves requests for about 12 seconds. ``shop.py`` of ``memlens/demo`` has to be in the same folder:
`docs/make_pictures.py` copies both. Writes snapshots to the folder snapshots, the report to report.html
and the allocation profile to allocations.json, all in the working directory.
"""

from __future__ import annotations

import json
import time
from typing import Any

import shop  # the leak is in there

import memlens

SECONDS = 12.0
REQUESTS, PAUSE_SECONDS = 12, 0.02  # requests between two pauses
ARTICLES = 6_000


def load_catalogue() -> list[dict[str, Any]]:
    """Return the articles as parsed from JSON. They stay in memory, which is no leak."""
    names = ("coat", "shoe", "lamp", "book", "bicycle")
    articles = [
        {"name": f"{names[number % 5]} {number}", "tags": [f"tag {number % 90}"]}
        for number in range(ARTICLES)
    ]
    catalogue: list[dict[str, Any]] = json.loads(json.dumps(articles))
    return catalogue


def search(catalogue: list[dict[str, Any]], word: str) -> list[str]:
    """Return the names of the articles with a word. The list is freed after the request."""
    return [article["name"].upper() for article in catalogue if word in article["name"]]


def serve(catalogue: list[dict[str, Any]], number: int) -> None:
    """Serve one request."""
    shop.handle(number)
    if number % 40 == 0:
        search(catalogue, "lamp")


def serve_until_end(profiler: memlens.MemoryProfiler) -> None:
    """Serve requests for some seconds, and mark two deploys."""
    catalogue = load_catalogue()
    deploys = [(0.35, "deploy of version 2"), (0.7, "deploy of version 3")]  # by share of the time
    number, begin = 0, time.monotonic()
    while (passed := time.monotonic() - begin) < SECONDS:
        for _ in range(REQUESTS):
            serve(catalogue, number)
            number += 1
        if deploys and passed > deploys[0][0] * SECONDS:
            profiler.mark(deploys.pop(0)[1])
        time.sleep(PAUSE_SECONDS)


def main() -> None:
    """Serve under a profiler and write what it found."""
    profiler = memlens.MemoryProfiler(
        "snapshots",
        on_alert=print,
        sample_interval=0.2,
        snapshot_interval=SECONDS / 9,
        allocation_interval_bytes=16 * 1024,
        limit=192 << 20,
    )
    with profiler:
        serve_until_end(profiler)
    report = profiler.report()
    report.to_html("report.html", source=True)
    if report.allocations is not None:
        report.allocations.save("allocations.json")


if __name__ == "__main__":
    main()
