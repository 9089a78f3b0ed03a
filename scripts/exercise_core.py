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

from memlens._core import _native


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
    pid = _native.fork_capture(file, progress_end, facts_end)
    os.write(send, struct.pack("=I", 2) + b"{}")
    return os.waitpid(pid, 0)[1]


def main() -> None:
    """Call everything."""
    things = [Thing(number) for number in range(200)]
    held = [cached(number) for number in range(9)]
    sections = _native.capture(values=True, own_prefix="/nowhere/")
    columns = [sections[name] for name in ("edge_offset", "edge_target", "edge_label")]
    _, retained = _native.dominator_tree(*columns, sections["node_size"])
    _native.reverse_edges(*columns)
    _native.shortest_paths(*columns, bytes(len(sections["root_kind"])))
    types = len(sections["type_name"])
    _native.count_types(sections["node_type"], sections["node_size"], sections["node_flags"], types)
    keys = array("Q", sections["node_size"])
    _native.match_nodes(sections["node_address"], keys, sections["node_address"], keys)
    status = capture_forked()
    print(len(sections["node_type"]), retained[0], len(things), len(held), "forked:", status)
    if status:
        sys.exit(1)


if __name__ == "__main__":
    main()
