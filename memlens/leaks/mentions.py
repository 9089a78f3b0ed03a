"""Which functions mention a name: the lines to look at when a holder is known."""

from __future__ import annotations

import os
import sys
from bisect import bisect_right
from collections.abc import Iterator
from typing import NamedTuple

from memlens._core.layout import LABEL_BITS, NONE, EdgeKind, NodeFlag
from memlens._frame import Frame
from memlens.heap.graph.heap_graph import HeapGraph

__all__ = ("Mention", "functions_mentioning")

_LABEL_BYTES = 4
_FEW = 3  # a name that more functions use, anywhere, tells nothing


class Mention(NamedTuple):
    """A function whose code names something, and where it is defined."""

    function: str
    location: Frame

    def __str__(self) -> str:
        return f"{self.function} ({self.location.package_location})"


def functions_mentioning(graph: HeapGraph, name: str, subject: int) -> list[Mention]:
    """Return the functions whose code mentions ``name``, by file and line.

    A code object keeps the names of the globals and attributes that it uses; capture labels those
    references with the names themselves. Many unrelated functions may use the same name: where
    some are in the files of the modules and classes on the way to the node ``subject``, only those
    are returned, else those in the folders of these files, else any if they are few.
    """
    found = sorted(set(_all_mentions(graph, name)), key=lambda one: one.location)
    homes = set(_files_on_the_way(graph, subject))
    folders = {os.path.dirname(file) for file in homes}
    return (
        [one for one in found if one.location.file in homes]
        or [one for one in found if os.path.dirname(one.location.file) in folders]
        or (found if len(found) <= _FEW else [])
    )


def _all_mentions(graph: HeapGraph, name: str) -> Iterator[Mention]:
    for label in _labels(graph, name):
        for index in _edges_labelled(graph, label):
            for code in graph.referrers(graph.edge_source(index)):
                location = graph.location_of(code)
                is_own = graph.has(code, NodeFlag.OWN)
                if location is not None and graph.type_of(code) == "code" and not is_own:
                    yield Mention(_qualified_name(graph, code), location)


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


def _edges_labelled(graph: HeapGraph, label: int) -> Iterator[int]:
    labels = bytes(graph.edge_label)
    wanted = label.to_bytes(_LABEL_BYTES, sys.byteorder)
    at = labels.find(wanted)
    while at >= 0:
        if at % _LABEL_BYTES == 0:
            yield at // _LABEL_BYTES
        at = labels.find(wanted, at + 1)


def _qualified_name(graph: HeapGraph, code: int) -> str:
    """Return the name of a code object; before 3.11 only its function knows the qualified one."""
    for referrer in graph.referrers(code):
        name = graph.name_of(referrer)
        if name and graph.type_of(referrer) == "function":
            return _without_module(graph, name)
    return graph.name_of(code)


def _without_module(graph: HeapGraph, name: str) -> str:
    named = graph.sections["name_node"]
    modules = {graph.name_of(node) for node in named if graph.type_of(node) == "module"}
    prefix = name
    while prefix:
        prefix = prefix.rpartition(".")[0]
        if prefix in modules:
            return name[len(prefix) + 1 :]
    return name


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
