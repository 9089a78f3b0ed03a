"""SiteLabels: names of allocation sites for monitoring, bounded in number and in length.

A monitoring system keeps a series for each value of a label that it has ever seen. So the number of
values is bounded for the life of the process, and a value holds the code's own names only.
"""

from __future__ import annotations

import re

from memlens._fork import ForkSafeLock
from memlens._frame import Frame
from memlens._options import check_count
from memlens.allocations.sampling.site_tables import LiveSites

__all__ = ("MAX_CHARACTERS", "OTHER", "SiteLabels")

OTHER = "other"
MAX_CHARACTERS = 120
_GENERATIONS = 10  # how many times the sites of one scrape may be replaced by others

# File names of code that was compiled from text may hold anything: a number that counts up, a key.
_PLAIN_NAME = re.compile(r"<(?:frozen [\w.]+|string|stdin|native|__array_function__ internals)>")


class SiteLabels:
    """Gives the lines that allocated most a name each, and the sum of all others as ``other``.

    ``max_sites``: how many lines are named at once; ten times as many over the life of the process.
    A line that comes later counts as ``other``. So does a line whose estimate is not reliable: with
    fewer than five samples, unless they are of large blocks.
    """

    def __init__(self, max_sites: int) -> None:
        self.max_sites = check_count("max_sites", max_sites, 0)
        self._known: set[str] = set()
        self._lock = ForkSafeLock()

    def rows(self, sites: LiveSites) -> list[tuple[str, float]]:
        """Return names and live bytes, largest first, ``other`` last; the sum is ``live_bytes``."""
        named: dict[str, float] = {}
        with self._lock:
            for site in sites.sites[: self.max_sites]:
                if site.is_reliable and self._may_name(label := label_of(site.frame)):
                    named[label] = named.get(label, 0.0) + site.live_bytes
        rest = max(0.0, sites.live_bytes - sum(named.values()))
        return [*named.items(), (OTHER, rest)]

    def _may_name(self, label: str) -> bool:
        if label not in self._known and len(self._known) < _GENERATIONS * self.max_sites:
            self._known.add(label)
        return label in self._known


def label_of(frame: Frame) -> str:
    """Return the name of a line: ``function (folder/file.py:12)``, at most 120 characters."""
    if frame.file.startswith("<") and not _PLAIN_NAME.fullmatch(frame.file):
        frame = Frame(frame.function, "<generated>", 0)
    text = frame.short() or "<unknown>"
    return text if len(text) <= MAX_CHARACTERS else f"{text[: MAX_CHARACTERS - 3]}..."
