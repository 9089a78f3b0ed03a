"""One object in hand and no snapshot: why it is alive, and what it retains.

Two ways to the same `RetentionPath`: a capture of the whole heap, which names and measures every
hop, or objgraph's search over the collector's lists, which needs no memory of its own and draws
pictures.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from itertools import pairwise
from types import FrameType
from typing import Any

from memlens._core.layout import LABEL_BITS, NONE, EdgeKind, RootKind
from memlens._core.pure.access import class_name
from memlens._core.pure.edges import Plans
from memlens._core.pure.labels import StringTable
from memlens._package import PACKAGE_FOLDER
from memlens.errors import MissingExtraError, NotInSnapshotError, OptionError
from memlens.heap.capture.take import take_heap_snapshot
from memlens.heap.graph.heap_graph import Edge, HeapGraph
from memlens.heap.graph.node import Node
from memlens.heap.graph.paths import Hop, RetentionPath, RetentionPathFinder, reference_text

__all__ = ("Retention", "draw_referrers", "find_live_path", "retained_size", "why_alive")


class Retention:
    """Why an object is alive: a sequence of independent paths; ``str()`` draws them."""

    def __init__(self, subject: str, paths: list[RetentionPath]) -> None:
        self.subject = subject
        self.paths = tuple(paths)

    def __iter__(self) -> Iterator[RetentionPath]:
        return iter(self.paths)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> RetentionPath:
        return self.paths[index]

    def __str__(self) -> str:
        if not self.paths:
            return f"{self.subject}\nNothing but the caller's own variables holds it."
        many = f"{len(self.paths)} independent ways" if len(self.paths) > 1 else "one way"
        lines = [self.subject, f"It is held in {many}:"]
        for path in self.paths:
            lines += ["", str(path), path.tree()]
        return "\n".join(lines)


def why_alive(obj: object, count: int = 3) -> Retention:
    """Return up to ``count`` independent paths that keep ``obj`` alive, the best first.

    The caller's own local variables do not count. Captures the heap, which stops the program for
    the time of a snapshot.
    """
    if count < 1:
        raise OptionError(f"count is {count}: ask for at least one path")
    address, kind = id(obj), type(obj)
    del obj  # or this frame would be one more holder
    snapshot = take_heap_snapshot(mode="inline", reason="why_alive", collect=False)
    index = _find(snapshot.graph, address, kind)
    graph = snapshot.graph
    finder = RetentionPathFinder(graph, skip_roots=set(_callers_roots(graph, index)))
    return Retention(str(Node(graph, index)), finder.find(index, count))


def retained_size(obj: object) -> int:
    """Return the bytes that would be freed if ``obj`` were: its retained size.

    Exact, by the dominators of the whole heap; stops the program for the time of a snapshot.
    """
    address, kind = id(obj), type(obj)
    snapshot = take_heap_snapshot(mode="inline", reason="retained_size", collect=False)
    index = _find(snapshot.graph, address, kind)
    return snapshot.graph.retained_bytes(index)


def _find(graph: HeapGraph, address: int, kind: type) -> int:
    index = graph.find_address(address)
    if index is None:
        name: str = type.__dict__["__qualname__"].__get__(kind)
        raise NotInSnapshotError(
            f"this {name} object is in no container and on no list of the collector:"
            " nothing but the call itself held it"
        )
    return index


def _callers_roots(graph: HeapGraph, index: int) -> Iterator[int]:
    """The roots that are only the caller's own variables."""
    frame = _calling_frame()
    for root, row in enumerate(graph.root_frame):
        if row != NONE and (
            graph.string(graph.frame_file[row]) == frame.f_code.co_filename
            and graph.frame_line[row] == frame.f_lineno
            and graph.string(graph.frame_function[row]).rpartition(".")[2] == frame.f_code.co_name
        ):
            yield root
    if sys.version_info[:2] in ((3, 10), (3, 11)):
        # One reference from outside the heap is the caller's as well. In 3.10: the argument, which
        # stays on the caller's stack of values during the call. In 3.11, on the pure core: the
        # variable, since running frames hide theirs.
        for root, target in enumerate(graph.edge_target[: graph.root_count_total]):
            if (
                target == index
                and graph.root_kind[root] == RootKind.EXTERNAL
                and graph.root_count[root] <= 1
            ):
                yield root


def _calling_frame() -> FrameType:
    frame = sys._getframe(1)
    while frame.f_code.co_filename.startswith(PACKAGE_FOLDER) and frame.f_back is not None:
        frame = frame.f_back
    return frame


# -- objgraph ------------------------------------------------------------------------------------


def find_live_path(
    obj: object, max_depth: int = 20, *, values: bool = False
) -> RetentionPath | None:
    """Return a shortest path from a module to ``obj``, found by objgraph; None where there is none.

    Needs no snapshot, but each step looks through all tracked objects, and untracked holders are
    not seen. Retained sizes are None: only a snapshot knows them. ``values``: show keys of dicts.
    """
    import objgraph

    chain = objgraph.find_backref_chain(
        obj, objgraph.is_proper_module, max_depth=max_depth, extra_ignore=_own_ids()
    )
    if not chain or not objgraph.is_proper_module(chain[0]):
        return None
    edges: list[Edge] = []
    for source, target in pairwise(chain):
        is_namespace = bool(edges) and edges[-1].name == "__dict__"
        edges.append(_live_edge(source, target, is_namespace=is_namespace, values=values))
    following = [*edges[1:], None]
    hops = tuple(map(_live_hop, edges, following, chain[1:]))
    return RetentionPath(chain[0].__name__, "module", hops)


def draw_referrers(obj: object, path: str | os.PathLike[str], *, max_depth: int = 5) -> str:
    """Draw what holds ``obj`` as a picture, by objgraph; return the path written.

    The suffix chooses the format: ``.dot`` is text that Graphviz reads; ``.png``, ``.svg`` or
    ``.pdf`` need the ``dot`` program of Graphviz.
    """
    import shutil

    import objgraph

    target = os.fspath(path)
    if not target.endswith(".dot") and shutil.which("dot") is None:
        raise MissingExtraError(
            "drawing this format needs the 'dot' program of Graphviz; install Graphviz or draw to"
            " a file with the suffix .dot"
        )
    objgraph.show_backrefs([obj], max_depth=max_depth, filename=target, extra_ignore=_own_ids())
    return target


def _own_ids() -> list[int]:
    frame: FrameType | None = sys._getframe(1)
    ids = []
    while frame is not None and frame.f_code.co_filename.startswith(PACKAGE_FOLDER):
        ids.append(id(frame))
        frame = frame.f_back
    return ids


def _live_hop(edge: Edge, following: Edge | None, target: Any) -> Hop:
    name = class_name(type(target))
    text = reference_text(edge, following, name)
    return Hop(text, edge.kind.name.lower(), name, -1, object.__sizeof__(target), None)


def _live_edge(source: Any, target: Any, *, is_namespace: bool, values: bool) -> Edge:
    """Name the best reference from source to target, as a capture would."""
    strings = StringTable()
    plans = Plans(strings, values=values or is_namespace)
    plan = plans.plan(type(source))
    targets, labels = plan(source) if plan is not None else ([], ())
    texts = [*strings]
    plans.clear()
    found = [
        _decode(label, texts)
        for candidate, label in zip(targets, labels, strict=True)
        if candidate is target
    ]
    if not found:
        return Edge(-1, -1, EdgeKind.INTERNAL, "", 0)
    edge = min(found, key=lambda e: (e.kind is EdgeKind.ITEM, not e.name))
    if is_namespace and edge.kind is EdgeKind.KEY:
        return edge._replace(kind=EdgeKind.ATTRIBUTE, name=edge.name.strip("'"))
    return edge


def _decode(label: int, texts: list[str]) -> Edge:
    kind, payload = EdgeKind(label & ((1 << LABEL_BITS) - 1)), label >> LABEL_BITS
    if kind is EdgeKind.INDEX:
        return Edge(-1, -1, kind, "", payload)
    return Edge(-1, -1, kind, texts[payload], 0)
