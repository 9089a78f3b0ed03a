"""Which functions mention a name: the lines to look at when a holder is known."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Iterator
from typing import NamedTuple

from memlens._core.layout import LABEL_BITS, NONE, EdgeKind, NodeFlag
from memlens._frame import Frame, is_library_file
from memlens.heap.graph import checked_core
from memlens.heap.graph.heap_graph import HeapGraph

__all__ = ("ADDING", "Mention", "functions_calling", "functions_mentioning")

ADDING = frozenset(  # methods and functions that add to containers
    "append appendleft add setdefault insert insort update extend put put_nowait push heappush"
    " register connect subscribe write".split()
)
_FEW = 3  # a name that more functions use, anywhere, tells nothing


class Mention(NamedTuple):
    """A function whose code names something, and where it is defined.

    ``adds``: it also names a method that adds to containers, such as ``append`` or ``setdefault``.
    """

    function: str
    location: Frame
    adds: bool

    def __str__(self) -> str:
        return f"{self.function} ({self.location.package_location})"


def functions_mentioning(graph: HeapGraph, name: str, subject: int) -> list[Mention]:
    """Return the functions whose code mentions ``name``, by file and line.

    A code object keeps the names of the globals and attributes that it uses; capture labels those
    references with the names themselves. Many unrelated functions may use the same name: where
    some are in the files of the modules and classes on the way to the node ``subject``, only those
    are returned, else those in the folders of these files, else any if they are few.
    """
    found = sorted(set(_all_mentions(graph, name)), key=lambda mention: mention.location[1:])
    homes = set(_files_on_the_way(graph, subject))
    folders = {os.path.dirname(file) for file in homes}
    return (
        [mention for mention in found if mention.location.file in homes]
        or [mention for mention in found if os.path.dirname(mention.location.file) in folders]
        or (found if len(found) <= _FEW else [])
    )


def functions_calling(graph: HeapGraph, mention: Mention) -> list[Mention]:
    """Return the program's functions in other files that mention a function, if they are few.

    A library's registry is filled by the library; the code to look at is what calls it.
    """
    name = mention.function.rpartition(".")[2]
    if name.startswith(("__", "<")):
        return []
    found = {
        caller
        for caller in _all_mentions(graph, name)
        if caller.location.file != mention.location.file
    }
    found = {caller for caller in found if not is_library_file(caller.location.file)}
    return sorted(found, key=lambda caller: caller.location[1:]) if len(found) <= _FEW else []


def _all_mentions(graph: HeapGraph, name: str) -> Iterator[Mention]:
    for label in _labels(graph, name):
        for index in checked_core.edges_labelled(graph.edge_label, label):
            names = graph.edge_source(index)
            for code in graph.referrers(names):
                location = graph.location_of(code)
                is_own = graph.has(code, NodeFlag.OWN)
                if location is not None and graph.type_of(code) == "code" and not is_own:
                    adds = any(edge.name in ADDING for edge in graph.edges(names))
                    yield Mention(graph.name_of(code), location, adds)


def _labels(graph: HeapGraph, name: str) -> Iterator[int]:
    """The edge labels of a name as a mention: an internal reference that bears the name."""
    text = name.encode("utf-8", "surrogatepass")
    offsets = graph.sections["string_offset"]
    stored = bytes(graph.sections["string_bytes"])
    at = stored.find(text) if text else -1
    while at >= 0:
        number = bisect_right(offsets, at) - 1
        if offsets[number] == at and offsets[number + 1] == at + len(text):
            yield number << LABEL_BITS | EdgeKind.INTERNAL
        at = stored.find(text, at + 1)


def _files_on_the_way(graph: HeapGraph, subject: int) -> Iterator[str]:
    """The files that define the modules, classes and functions on the best path to a node."""
    node = subject
    while node:
        definition = graph.type_node[graph.node_type[node]]
        for one in (node, definition):
            location = graph.location_of(one) if one != NONE else None
            if location is not None:
                yield location.file
        edge = graph.path_edges[node]
        node = 0 if edge == NONE else graph.edge_source(edge)
