"""Which functions mention a name: the lines to look at when a holder is known."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from memlens._core.layout import LABEL_BITS, EdgeKind, NodeFlag
from memlens.heap.graph import HeapGraph, Location

__all__ = ("Mention", "functions_mentioning")


class Mention(NamedTuple):
    """A function whose code names something, and where it is defined."""

    function: str
    location: Location

    def __str__(self) -> str:
        return f"{self.function} ({self.location.short()})"


def functions_mentioning(graph: HeapGraph, names: Iterable[str]) -> dict[str, list[Mention]]:
    """Return for each name the functions whose code mentions it, by file and line.

    A code object keeps the names of the globals and attributes that it uses; capture labels those
    references with the names themselves.
    """
    labels = _labels(graph, set(names))
    found: dict[str, set[Mention]] = {name: set() for name in labels.values()}
    for index, label in enumerate(graph.edge_label):
        if label in labels:
            names_tuple = graph.edge_source(index)
            for code in graph.referrers(names_tuple):
                location = graph.location_of(code)
                if graph.type_of(code) != "code" or graph.has(code, NodeFlag.OWN):
                    continue
                if location is not None:
                    found[labels[label]].add(Mention(graph.name_of(code), location))
    return {
        name: sorted(mentions, key=lambda m: (m.location.file, m.location.line))
        for name, mentions in found.items()
    }


def _labels(graph: HeapGraph, names: set[str]) -> dict[int, str]:
    """The edge label of each name as a mention: an internal reference that bears the name."""
    labels = {}
    for number in range(len(graph.sections["string_offset"]) - 1):
        text = graph.string(number)
        if text in names:
            labels[number << LABEL_BITS | EdgeKind.INTERNAL] = text
    return labels
