"""The flame graph of an allocation profile: its call tree, cut to the nodes that a picture needs.

The tree is kept in columns, and neither made nor cut by recursion: call paths may be as deep as the
recursion limit of the program, and there may be a million nodes.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from heapq import heappop, heappush
from typing import Any

from memlens._frame import Frame
from memlens._text import format_count
from memlens.allocations.profile.allocation_profile import AllocationProfile
from memlens.allocations.profile.call_tree import ROOT
from memlens.allocations.profile.profile_text import without_import_system
from memlens.allocations.profile.rows import MEASURES, measure_of
from memlens.report.html.limits import Limits, Texts

__all__ = ("CallColumns", "flame_of")

_LABELS = {
    "live_bytes": "Live bytes",
    "allocated_bytes": "Allocated bytes",
    "live_count": "Live blocks",
    "allocated_count": "Allocated blocks",
}


class CallColumns:
    """A call tree in columns: the parent, the frame and the totals of each node, parents first.

    Node 0 is the root. ``totals`` has a column of whole numbers for each of ``measures``, with the
    callees included; what a node allocates itself is its total without those of its children.
    """

    def __init__(self, profile: AllocationProfile) -> None:
        known = profile.total.allocated_bytes is not None
        self.measures = [m for m in MEASURES if known or not m.startswith("allocated")]
        self.frames: list[Frame] = [ROOT]
        self.parent, self.frame = array("q", [-1]), array("L", [0])
        self.totals: list[list[int]] = [[0] for _ in self.measures]
        self._plant(self._numbered_paths(profile))
        for column in self.totals:
            for node in range(len(self.parent) - 1, 0, -1):
                column[self.parent[node]] += column[node]

    def __len__(self) -> int:
        return len(self.parent)

    def _numbered_paths(
        self, profile: AllocationProfile
    ) -> list[tuple[tuple[int, ...], list[int]]]:
        numbers = {ROOT: 0}
        paths = []
        for row in profile.rows:
            path = without_import_system(row.call_path)
            key = tuple([numbers.setdefault(frame, len(numbers)) for frame in path])
            paths.append((key, [round(measure_of(row, measure)) for measure in self.measures]))
        self.frames = list(numbers)
        return sorted(paths)

    def _plant(self, paths: list[tuple[tuple[int, ...], list[int]]]) -> None:
        """Add the nodes of sorted paths: what two neighbours share is there already."""
        stack = [0]
        previous: tuple[int, ...] = ()
        for path, values in paths:
            shared = _shared_length(previous, path)
            del stack[shared + 1 :]
            for frame in path[shared:]:
                self.parent.append(stack[-1])
                self.frame.append(frame)
                for column in self.totals:
                    column.append(0)
                stack.append(len(self.parent) - 1)
            for column, value in zip(self.totals, values, strict=True):
                column[stack[-1]] += value
            previous = path

    def cut(self, limit: int) -> Iterator[tuple[int, float]]:
        """Yield up to ``limit`` nodes, parents first and the largest first, each with its weight.

        The weight of a node is its largest share of the total of a measure, from 0 to 1.
        """
        whole = [(column, column[0]) for column in self.totals if column[0] > 0]
        first, following = self._children()
        queue = [(-1.0, 0)]
        for _ in range(limit):
            if not queue:
                return
            weight, node = heappop(queue)
            yield node, -weight
            child = first[node]
            while child:
                weight = max((column[child] / total for column, total in whole), default=0.0)
                heappush(queue, (-weight, child))
                child = following[child]

    def _children(self) -> tuple[array[int], array[int]]:
        """Return the first child of each node, and the next one of the same parent; 0 for none."""
        first = array("L", bytes(array("L").itemsize * len(self)))
        following = array("L", first)
        for node in range(len(self) - 1, 0, -1):
            parent = self.parent[node]
            following[node], first[parent] = first[parent], node
        return first, following


def flame_of(profile: AllocationProfile, limits: Limits) -> dict[str, Any] | None:
    """Return the flame graph of a profile; None where it has no rows."""
    if not profile.rows:
        return None
    tree = CallColumns(profile)
    names, files = Texts(limits.text), Texts(limits.text)
    numbers: dict[int, int] = {}
    columns: dict[str, list[int]] = {"parent": [], "name": [], "file": [], "line": []}
    least = 1.0
    for node, weight in tree.cut(limits.nodes):
        frame = tree.frames[tree.frame[node]]
        columns["parent"].append(numbers[tree.parent[node]] if node else -1)
        columns["name"].append(names.number(frame.function or frame.location))
        columns["file"].append(files.number(frame.file))
        columns["line"].append(frame.line)
        numbers[node], least = len(numbers), weight
    return {
        "key": "live",
        "label": "Memory by call path",
        "unit": "bytes",
        "measures": [_measure(measure) for measure in tree.measures],
        "names": names.all,
        "files": files.all,
        **columns,
        "values": {
            measure: [column[node] for node in numbers]
            for measure, column in zip(tree.measures, tree.totals, strict=True)
        },
        "omitted": _omitted(len(tree) - len(numbers), least),
    }


def _measure(measure: str) -> dict[str, str]:
    unit = "bytes" if measure.endswith("bytes") else "count"
    return {"key": measure, "label": _LABELS[measure], "unit": unit}


def _omitted(count: int, least: float) -> dict[str, Any] | None:
    if not count:
        return None
    text = (
        f"{format_count(count)} calls with at most {100 * least:.2g} % of the total each are not"
        " drawn; their memory is counted in their callers"
    )
    return {"nodes": count, "text": text}


def _shared_length(one: Sequence[int], other: Sequence[int]) -> int:
    length = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        length += 1
    return length
