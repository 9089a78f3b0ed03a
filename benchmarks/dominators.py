"""How fast the dominator tree of a heap-like graph is found, next to networkx and igraph.

    python benchmarks/dominators.py [--nodes N] [--peer-nodes N]

All of one table comes from one run on one machine, and every result is compared with the first.
Each time is the best of a few runs, of the call alone: the graph is there in the form that the
library takes. networkx takes dictionaries and gets a smaller graph; so does igraph, and memlens
runs on that one too, which is what the ratios are about.
"""

from __future__ import annotations

import argparse
import importlib
import platform
import random
import sys
import time
from array import array
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from memlens._core.layout import NONE, EdgeKind


class NamedRun(NamedTuple):
    """What is timed, and how its result reads as one dominator (or `NONE`) for each node."""

    name: str
    call: Callable[[], Any]
    read: Callable[[Any], list[int]]


class Graph(NamedTuple):
    """The columns that ``dominator_tree`` takes."""

    edge_offset: array[int]
    edge_target: array[int]
    edge_label: array[int]
    node_size: array[int]

    def edges(self) -> Iterator[tuple[int, int]]:
        """(source, target) of each edge; there are no weak ones."""
        for source, start in enumerate(self.edge_offset[:-1]):
            for target in self.edge_target[start : self.edge_offset[source + 1]]:
                yield source, target


def heap_like(node_count: int) -> Graph:
    """Tables of records, as a service holds them: about 1.7 edges to a node.

    A record is an instance with a ``__dict__``, the strings and numbers in it, and some interned
    strings and a class that it shares with others. Some records refer to an earlier one, some to
    their neighbour and back, and one in ten is also in a single linked list.
    """
    choice = random.Random(20060101)
    rows: list[list[int]] = [[]]

    def new(*targets: int) -> int:
        rows.append(list(targets))
        return len(rows) - 1

    strings = [new() for _ in range(2000)]
    classes = [new(choice.choice(strings)) for _ in range(200)]
    tables = [new() for _ in range(50)]
    modules = [new(new(table, *choice.sample(classes, 4))) for table in tables]
    rows[0] = modules + classes[:100] + strings[:1000]
    records: list[int] = []
    link = new()
    while len(rows) < node_count:
        namespace = new(new(), new(), new(), *choice.sample(strings, 2))
        record = new(choice.choice(classes), namespace)
        kind = choice.randrange(10)
        if kind == 0 and records:
            rows[namespace].append(choice.choice(records))
        elif kind == 1 and records:
            rows[namespace].append(records[-1])
            rows[records[-1]].append(record)
        elif kind == 2:
            link = new(record, link)
        rows[choice.choice(tables)].append(record)
        records.append(record)
    rows[modules[0]].append(link)
    return _columns(rows)


def _columns(rows: list[list[int]]) -> Graph:
    edge_offset = array("Q", [0])
    edge_target = array("I")
    for row in rows:
        edge_target.extend(row)
        edge_offset.append(len(edge_target))
    labels = array("I", [EdgeKind.ATTRIBUTE]) * len(edge_target)
    return Graph(edge_offset, edge_target, labels, array("Q", [64]) * len(rows))


def load_cores() -> Iterator[tuple[str, Any]]:
    """Name and module of each implementation of the core that is there."""
    for name, module in ("pure", "memlens._core.pure"), ("C", "memlens._core._graph"):
        try:
            yield name, importlib.import_module(module)
        except ModuleNotFoundError as error:
            print(f"left out: {error}")


def memlens_runs(cores: list[tuple[str, Any]], graph: Graph) -> Iterator[NamedRun]:
    """The runs of our own implementations."""
    for name, core in cores:
        call = partial(core.dominator_tree, *graph)
        yield NamedRun(f"memlens, {name}", call, lambda result: list(result[0]))


def peer_runs(graph: Graph) -> Iterator[NamedRun]:
    """The runs of the peers that are installed."""
    node_count = len(graph.node_size)
    try:
        import networkx
    except ModuleNotFoundError as error:
        print(f"left out: {error}")
    else:
        digraph = networkx.DiGraph(graph.edges())
        yield NamedRun(
            f"networkx {networkx.__version__}",
            lambda: networkx.immediate_dominators(digraph, 0),
            # For node 0 it says None, or node 0, by its version.
            lambda found: [NONE, *(found.get(node, NONE) for node in range(1, node_count))],
        )
    try:
        import igraph
    except ModuleNotFoundError as error:
        print(f"left out: {error}")
    else:
        compact = igraph.Graph(node_count, list(graph.edges()), directed=True)
        yield NamedRun(
            f"igraph {igraph.__version__} (C)",
            lambda: compact.dominator(0, mode="out"),
            # It says -1 for node 0 and NaN for what node 0 does not reach.
            lambda found: [node if node >= 0 else NONE for node in found],
        )


def best_seconds(call: Callable[[], Any], repeat: int) -> tuple[float, Any]:
    """The shortest of some runs, and the last result."""
    seconds = []
    for _ in range(repeat):
        start = time.perf_counter()
        result = call()
        seconds.append(time.perf_counter() - start)
    return min(seconds), result


def print_table(graph: Graph, runs: list[NamedRun], repeat: int) -> None:
    """Time all on one graph; the ratio is to the first. Ends the program when results differ."""
    node_count, edge_count = len(graph.node_size), len(graph.edge_target)
    print(f"\n{node_count:,} nodes, {edge_count:,} edges ({edge_count / node_count:.2f} to a node)")
    expected = first_seconds = None
    for name, call, read in runs:
        seconds, result = best_seconds(call, repeat)
        dominators = read(result)
        expected = expected or dominators
        first_seconds = first_seconds or seconds
        if dominators != expected:
            raise SystemExit(f"{name} found other dominators than {runs[0][0]}")
        print(f"  {name:24} {seconds:9.3f} s {seconds / first_seconds:9.2f} x")


def main() -> None:
    """Print one table with memlens alone, and one with its peers on a smaller graph."""
    parser = argparse.ArgumentParser(description="Time the dominator tree of a heap-like graph.")
    parser.add_argument("--nodes", type=int, default=1_000_000, help="default: %(default)s")
    parser.add_argument("--peer-nodes", type=int, default=100_000, help="default: %(default)s")
    parser.add_argument("--repeat", type=int, default=3, help="default: %(default)s")
    options = parser.parse_args()
    print(f"CPython {platform.python_version()}, {platform.system()} {platform.machine()}")
    print("memlens also sums the retained sizes; its peers do not.")
    cores = list(load_cores())
    large = heap_like(options.nodes)
    print_table(large, list(memlens_runs(cores, large)), options.repeat)
    small = heap_like(options.peer_nodes)
    print_table(small, [*memlens_runs(cores, small), *peer_runs(small)], options.repeat)


if __name__ == "__main__":
    main()
