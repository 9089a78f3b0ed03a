"""Make the HTML reports that people look at, and tell what each took.

    python scripts/sample_reports.py DIR [--objects N] [--paths N] [--seconds S]

Four reports: a leak (the demo's shop), the same shop without its leak, a heap of ten million objects,
and an allocation profile with 50,000 call paths. Each is made in a process of its own, so that its
peak of memory is its own. Prints a table: report, file size, seconds to write, peak memory.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from array import array
from collections.abc import Callable
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import memlens
from memlens._core.layout import LABEL_BITS, NONE, SECTIONS, EdgeKind, RootKind
from memlens._frame import Frame
from memlens._table import columns
from memlens._text import format_bytes, format_duration
from memlens.allocations.profile.allocation_profile import AllocationProfile, ProfileFacts
from memlens.allocations.profile.rows import AllocationRow
from memlens.heap.graph.heap_graph import HeapGraph
from memlens.heap.snapshot import HeapSnapshot
from memlens.profiler.profiler_report import ProfilerReport
from memlens.report.html.html_report import HtmlReport

ROOT = Path(__file__).resolve().parent.parent
_LEAK = "session = self._sessions[visitor] = Session(visitor)"
_REQUESTS, _PAUSE_SECONDS = 20, 0.02


# -- a shop with its leak and without --------------------------------------------------------------


def observed_shop(folder: str, seconds: float, *, is_leaking: bool) -> ProfilerReport:
    """Serve requests under a profiler for some seconds, and return its report."""
    source = (ROOT / "memlens/demo/shop.py").read_text(encoding="utf-8")
    assert _LEAK in source
    if not is_leaking:
        source = source.replace(_LEAK, "session = Session(visitor)")
    path = Path(folder, "shop.py")
    path.write_text(source, encoding="utf-8")
    shop = sys.modules["shop"] = ModuleType("shop")
    exec(compile(source, str(path), "exec", dont_inherit=True), shop.__dict__)
    profiler = memlens.MemoryProfiler(
        Path(folder, "profiles"),
        sample_interval=min(1.0, seconds / 50),
        snapshot_interval=seconds / 6,
        allocation_interval_bytes=16 * 1024,
        limit=512 << 20,
    )
    number, begin, has_deployed = 0, time.monotonic(), False
    sys.argv = [str(path)]
    with profiler:
        while (passed := time.monotonic() - begin) < seconds:
            for _ in range(_REQUESTS):
                shop.handle(number)
                number += 1
            if passed > seconds / 2 and not has_deployed:
                has_deployed = True
                profiler.mark("deploy of version 2")
            time.sleep(_PAUSE_SECONDS)
        return profiler.report()


# -- a large heap --------------------------------------------------------------------------------


class _Strings:
    """The strings of a heap, numbered."""

    def __init__(self) -> None:
        self.numbers = {"": 0}

    def number(self, text: str) -> int:
        return self.numbers.setdefault(text, len(self.numbers))

    def sections(self) -> dict[str, Any]:
        texts = [text.encode() for text in self.numbers]
        offsets = array("Q", [0])
        for text in texts:
            offsets.append(offsets[-1] + len(text))
        return {"string_offset": offsets, "string_bytes": b"".join(texts)}


_TYPES = (
    "<process>",
    "module",
    "dict",
    "list",
    "str",
    "shop.Order",
    "shop.Customer",
    "bytes",
    "int",
)
_BRANCHES = 40  # modules, each with a table of records


def large_heap(object_count: int) -> HeapSnapshot:
    """Return a heap of modules with tables of records: lists, dicts, strings, in a random tree."""
    choice, strings = Random(7), _Strings()
    type_names = array("I", map(strings.number, _TYPES))
    names = [strings.number(f"shop.part_{number}") for number in range(_BRANCHES)]
    attributes = [strings.number(name) for name in ("orders", "customer", "lines", "text", "data")]
    parent = array("I", [0]) + array("I", [0]) * _BRANCHES
    types = array("I", [0]) + array("I", [1]) * _BRANCHES
    for node in range(_BRANCHES + 1, object_count + 1):
        # Most objects belong to a record that is near; a few collect very many.
        is_record = choice.random() < 0.1
        near = choice.randrange(1, min(node, 2000)) if is_record else node - 1 - node % 7
        parent.append(min(max(near, 1), node - 1))
        types.append(2 + node % (len(_TYPES) - 2))
    return _snapshot(parent, types, type_names, names, attributes, strings, choice)


def _snapshot(
    parent: array[int],
    types: array[int],
    type_names: array[int],
    names: list[int],
    attributes: list[int],
    strings: _Strings,
    choice: Random,
) -> HeapSnapshot:
    count = len(parent)
    offsets = array("Q", bytes(8 * (count + 1)))
    for node in range(1, count):
        offsets[parent[node] + 1] += 1
    for node in range(count):
        offsets[node + 1] += offsets[node]
    place, targets = array("Q", offsets), array("I", bytes(4 * (count - 1)))
    labels = array("I", bytes(4 * (count - 1)))
    for node in range(1, count):
        edge = place[parent[node]]
        place[parent[node]] += 1
        targets[edge] = node
        text = attributes[node % len(attributes)]
        labels[edge] = int(EdgeKind.ATTRIBUTE) | text << LABEL_BITS if parent[node] else 0
    kinds = (32, 56, 64, 232, 1024)
    sizes = array("Q", [0]) + array("Q", (choice.choice(kinds) for _ in range(count - 1)))
    sections: dict[str, Any] = {
        name: array(code) if code != "B" else b"" for name, code in SECTIONS.items()
    }
    sections |= {
        "node_address": array("Q", range(0, 64 * count, 64)),
        "node_type": types,
        "node_size": sizes,
        "node_flags": array("H", bytes(2 * count)),
        "edge_offset": offsets,
        "edge_target": targets,
        "edge_label": labels,
        "type_name": type_names,
        "type_node": array("I", [NONE] * len(type_names)),
        "root_kind": array(SECTIONS["root_kind"], [int(RootKind.MODULE)]) * len(names),
        "root_name": array("I", names),
        "root_count": array(SECTIONS["root_count"], [1]) * len(names),
        "root_frame": array(SECTIONS["root_frame"], [NONE]) * len(names),
    } | strings.sections()  # fmt: skip
    facts = {
        "pid": 4711, "process": "sample", "timestamp": 1_790_000_000.0, "reason": "sample",
        "mode": "inline", "pause_seconds": 1.5, "core": "C", "python": sys.version.split()[0],
        "platform": sys.platform, "threads": {}, "values": False, "collected": None,
        "gc_enabled": True, "lost_samples": [],
    }  # fmt: skip
    return HeapSnapshot(HeapGraph(sections, facts))


# -- a large profile -----------------------------------------------------------------------------


def large_profile(path_count: int) -> AllocationProfile:
    """Return a profile with as many call paths, 8 to 60 calls deep."""
    choice = Random(11)
    frames = [
        Frame(f"function_{number}", f"/srv/shop/package_{number % 40}/module_{number % 400}.py", 10)
        for number in range(4_000)
    ]
    rows = []
    for number in range(path_count):
        depth = choice.randrange(8, 60)
        start = choice.randrange(50)
        path = [frames[(start + level * (1 + number % 97)) % 4_000] for level in range(depth)]
        path[-1] = path[-1]._replace(line=number)
        size = choice.paretovariate(1.2) * 4096
        rows.append(
            AllocationRow(
                tuple(path), live_bytes=size, live_count=size / 512, live_samples=1,
                allocated_bytes=size * 3, allocated_count=size / 170, allocated_samples=3,
            )
        )  # fmt: skip
    facts = ProfileFacts("sampling", 512 * 1024, 1_790_000_000.0, 3600.0, 4711, "3.11.7", 1 << 30)
    return AllocationProfile(rows, facts)


# -- the four reports ----------------------------------------------------------------------------


def make(name: str, path: str, options: argparse.Namespace) -> dict[str, Any]:
    """Make one report and return its size, how long it took, and the peak of memory."""
    with tempfile.TemporaryDirectory() as folder:
        write = _writer(name, folder, options)
        before = _peak_bytes()
        begin = time.perf_counter()
        size_bytes = write(path)
        seconds = time.perf_counter() - begin
    return {"bytes": size_bytes, "seconds": seconds, "before": before, "peak": _peak_bytes()}


def _writer(name: str, folder: str, options: argparse.Namespace) -> Callable[[str], int]:
    if name in ("leak", "healthy"):
        report = observed_shop(folder, options.seconds, is_leaking=name == "leak")
        return lambda path: report.to_html(path, source=True)
    if name == "large-heap":
        # Made by another process: its memory is not that of the report.
        command = [sys.executable, __file__, folder, "--objects", str(options.objects)]
        subprocess.run([*command, "--only", _HEAP], check=True)
        snapshot = HeapSnapshot.load(Path(folder, _HEAP))
        return HtmlReport(snapshots=[snapshot]).write
    return HtmlReport(allocations=large_profile(options.paths)).write


def _peak_bytes() -> int:
    factor = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * factor


_HEAP = "heap.memlens"
NAMES = ("leak", "healthy", "large-heap", "large-profile")


def main() -> None:
    """Make the reports, or one of them in a child process."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", help="where the reports are written")
    parser.add_argument("--objects", type=int, default=10_000_000)
    parser.add_argument("--paths", type=int, default=50_000)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long the shop is observed")
    parser.add_argument("--only", choices=(*NAMES, _HEAP), help="make one, in this process")
    options = parser.parse_args()
    Path(options.folder).mkdir(parents=True, exist_ok=True)
    if options.only == _HEAP:
        large_heap(options.objects).save(Path(options.folder, _HEAP))
        return
    if options.only:
        path = str(Path(options.folder, f"{options.only}.html"))
        print(json.dumps(make(options.only, path, options)))
        return
    rows = []
    for name in NAMES:
        command = [sys.executable, __file__, *sys.argv[1:], "--only", name]
        done = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
        numbers = (format_bytes(done["before"]), format_bytes(done["peak"]))
        rows.append((format_bytes(done["bytes"]), format_duration(done["seconds"]), *numbers, name))
    headers = ("file", "to write", "memory before", "peak memory", "report")
    print(columns(headers, rows))


if __name__ == "__main__":
    main()
