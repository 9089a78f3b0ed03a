"""Use every function of the C core once, on a small heap: what valgrind watches."""

from __future__ import annotations

import collections
import functools
import os
import struct
import sys
from array import array
from pathlib import Path

sys.path.insert(0, os.fspath(Path(__file__).resolve().parent.parent))

from memlens._core import _capture, _graph
from memlens._core.layout import NONE
from memlens.heap.capture.child_process import WAIT_FOR_ANY_KIND


class Thing:
    """Holds something of everything."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.list = [number, str(number)]
        self.queue = collections.deque(self.list, maxlen=3)


@functools.lru_cache(maxsize=5)
def cached(number: int) -> list[int]:
    """Return something new."""
    return [number]


def capture_forked() -> int:
    """Capture into an unlinked file; return the child's status."""
    file = os.open("/tmp", os.O_TMPFILE | os.O_RDWR, 0o600)
    _progress, progress_end = os.pipe()
    facts_end, send = os.pipe()
    pid = _capture.fork_capture(file, progress_end, facts_end)
    os.write(send, struct.pack("=I", 2) + b"{}")
    return os.waitpid(pid, WAIT_FOR_ANY_KIND)[1]


def use_trees(sections: dict[str, memoryview], dominator: array[int], retained: array[int]) -> None:
    """Walk over the dominators, in the order of the capture and in the opposite one."""
    flags, groups = sections["node_flags"], sections["node_type"]
    last = len(dominator) - 1
    turned = array("I", [NONE if up == NONE else last - up for up in reversed(dominator)])
    for column in (dominator, turned):
        _graph.children_rows(column)
        _graph.spread_flags(column, flags, 32)
        _graph.nearest_marked(column, bytes([0, 1]) * (last // 2) + bytes(last % 2 + 1))
        _graph.subtree_sums(column, sections["node_size"])
        _graph.retained_by_group(column, retained, groups, len(sections["type_name"]), flags, 2)


def use_rankings(sections: dict[str, memoryview], retained: array[int]) -> None:
    """Rank, mark and reach."""
    columns = [sections[name] for name in ("edge_offset", "edge_target", "edge_label")]
    flags, count = sections["node_flags"], len(sections["node_type"])
    for most in (0, 10, count, 2 * count):
        _graph.largest_nodes(retained, flags, most, 2)
    marks = bytearray(count)
    marks[1::3] = b"\1" * len(marks[1::3])
    _graph.reached_nodes(*columns, marks)
    _graph.edges_between(*columns, marks, marks)


def main() -> None:
    """Call everything."""
    things = [Thing(number) for number in range(200)]
    held = [cached(number) for number in range(9)]
    sections = _capture.capture(values=True, own_prefix="/nowhere/")
    columns = [sections[name] for name in ("edge_offset", "edge_target", "edge_label")]
    dominator, retained = _graph.dominator_tree(*columns, sections["node_size"])
    use_trees(sections, dominator, retained)
    use_rankings(sections, retained)
    _graph.reverse_edges(*columns)
    _graph.shortest_paths(*columns, bytes(len(sections["root_kind"])))
    types = len(sections["type_name"])
    _graph.count_types(sections["node_type"], sections["node_size"], sections["node_flags"], types)
    identities = [sections[name] for name in ("node_address", "node_type", "node_size")]
    identities += [array("Q", range(types)), bytes([0, 1]) * (types // 2) + bytes(types % 2)]
    same = _graph.match_nodes(*identities, *identities)
    _graph.mark_matched(same, sections["node_flags"], sections["node_flags"], 34, 1 << 15)
    status = capture_forked()
    print(len(sections["node_type"]), retained[0], len(things), len(held), "forked:", status)
    if status:
        sys.exit(1)


if __name__ == "__main__":
    main()
