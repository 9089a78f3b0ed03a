"""What DevTools calls each object: its type there, and its name.

The class column of DevTools shows the name of ``object`` and ``native`` nodes, so that is the
qualified name of the type. Strings, functions and code objects have classes of their own there, and
their names are free for a text, a qualified name. DevTools takes strings of one name for duplicates:
those whose text is not known are named by their address, equal ones by a number.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import NamedTuple

from memlens._core.layout import VALUE_TEXT_LIMIT
from memlens.formats.heapsnapshot.schema import (
    CLOSURE,
    CODE,
    NATIVE,
    OBJECT,
    STRING,
    SYNTHETIC,
)
from memlens.formats.heapsnapshot.strings import StringTable
from memlens.heap.graph.heap_graph import HeapGraph

__all__ = ("NodeNames", "name_nodes")

_TYPES = {"str": STRING, "function": CLOSURE, "code": CODE}


class NodeNames(NamedTuple):
    """The type (u8) and the number of the name (u32) of each node of a graph."""

    types: bytearray
    names: array[int]


def name_nodes(graph: HeapGraph, strings: StringTable) -> NodeNames:
    """Return the type and the name of each node. Adds the names to ``strings``."""
    row_types = bytes(_TYPES.get(name, OBJECT) for name in graph.type_names)
    types = bytearray(map(row_types.__getitem__, graph.node_type))
    unknown = _unknown_texts(graph, types)
    equal = _equal_groups(graph)
    address_names = strings.add_block(len(unknown), lambda: _address_texts(graph, unknown))
    group_count = 1 + max(equal.values(), default=-1)
    group_names = strings.add_block(
        group_count, lambda: (f"str, equal contents {group}" for group in range(group_count))
    )
    row_names = [strings.add(name) for name in graph.type_names]
    names = array("I", map(row_names.__getitem__, graph.node_type))
    for place, node in enumerate(unknown):
        names[node] = address_names + place
    for node, group in equal.items():
        if types[node] == STRING:
            names[node] = group_names + group
    _use_names(graph, types, names, strings)
    _use_values(graph, types, names, strings, equal)
    _name_native_blocks(graph, types, names, strings)
    types[0], names[0] = SYNTHETIC, strings.add("")
    return NodeNames(types, names)


def _unknown_texts(graph: HeapGraph, types: bytearray) -> array[int]:
    """Return the strings whose texts were not captured, ascending."""
    known = {*graph.sections["value_node"]}
    if not known:
        return array("I", [node for node, kind in enumerate(types) if kind == STRING])
    return array(
        "I", [node for node, kind in enumerate(types) if kind == STRING and node not in known]
    )


def _address_texts(graph: HeapGraph, nodes: array[int]) -> Iterator[str]:
    addresses = graph.node_address
    return (f"str at {addresses[node]:#x}" for node in nodes)


def _equal_groups(graph: HeapGraph) -> dict[int, int]:
    sections = graph.sections
    if "equal_node" not in sections:
        return {}
    return dict(zip(sections["equal_node"], sections["equal_group"], strict=True))


def _use_names(graph: HeapGraph, types: bytearray, names: array[int], strings: StringTable) -> None:
    """Name functions and code objects by their qualified names."""
    sections = graph.sections
    for node, text in zip(sections["name_node"], sections["name_text"], strict=True):
        if text and types[node] in (CLOSURE, CODE):
            names[node] = strings.stored(text)


def _use_values(
    graph: HeapGraph,
    types: bytearray,
    names: array[int],
    strings: StringTable,
    equal: dict[int, int],
) -> None:
    """Name strings by their texts, and tell apart long ones that only begin alike."""
    sections = graph.sections
    offsets = sections["string_offset"]
    for node, text in zip(sections["value_node"], sections["value_text"], strict=True):
        if types[node] != STRING:
            continue
        if offsets[text + 1] - offsets[text] < VALUE_TEXT_LIMIT:
            names[node] = strings.stored(text)
        else:
            group = equal.get(node)
            where = f"at {graph.node_address[node]:#x}" if group is None else f"equal {group}"
            names[node] = strings.add(f"{graph.string(text)} ({where})")


def _name_native_blocks(
    graph: HeapGraph, types: bytearray, names: array[int], strings: StringTable
) -> None:
    if graph.native is None:
        return
    for node, kind in zip(graph.native.nodes, graph.native.kinds, strict=True):
        types[node] = NATIVE
        names[node] = strings.add(kind.text.removeprefix("of "))
