"""Keys of places: equal in all snapshots of a process for what hangs at the same place."""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Iterator

from memlens._core.layout import NONE, EdgeKind
from memlens.heap.graph import checked_core
from memlens.heap.graph.heap_graph import HeapGraph

__all__ = ("SUSPENDED", "TASKS", "code_of", "find_place_keys", "nodes_of_types", "text_key")

SUSPENDED = frozenset({"coroutine", "generator", "async_generator"})
TASKS = frozenset({"_asyncio.Task", "asyncio.tasks.Task"})
_CODE_FIELDS = frozenset({"gi_code", "cr_code", "ag_code", "f_code"})
_MASK = 0xFFFF_FFFF_FFFF_FFFF
_KIND_FACTOR = 0x9E37_79B9_7F4A_7C15  # spreads the few kinds of roots over 64 bits


def text_key(text: str) -> int:
    """Return a 64-bit key of a text, as the core makes it of stored ones."""
    data = text.encode("utf-8", "surrogatepass")
    return zlib.crc32(data) << 32 | zlib.crc32(data, 0x5EED)


def find_place_keys(
    graph: HeapGraph, path_edges: memoryview, function_keys: dict[tuple[int, int], int]
) -> tuple[array[int], array[int]]:
    """Return the key of each node's place, and which nodes repeat one above them.

    ``function_keys``: the keys of functions so far, which the graphs of one process share.
    """
    strings = checked_core.text_keys(
        graph.sections["string_offset"], graph.sections["string_bytes"]
    )
    namespace = text_key("__dict__")
    anchors = sorted(_anchors(graph, strings, function_keys).items())
    return checked_core.place_keys(
        graph.edge_offset,
        graph.edge_target,
        graph.edge_label,
        path_edges,
        graph.node_type,
        strings,
        array("Q", [strings[number] for number in graph.type_name]),
        _root_keys(graph, strings),
        array("I", [node for node, _ in anchors]),
        array("Q", [key for _, key in anchors]),
        strings.index(namespace) if namespace in strings else NONE >> 3,
    )


def _anchors(
    graph: HeapGraph, strings: array[int], function_keys: dict[tuple[int, int], int]
) -> dict[int, int]:
    """Return the key of each function, suspended frame and running frame: that of its code."""
    found = dict(_function_keys(graph, strings, function_keys))
    for node in nodes_of_types(graph, SUSPENDED):
        code = code_of(graph, node)
        if code is not None:
            found[node] = _frame_key(*code)
    for root, frame in enumerate(graph.root_frame):
        if frame != NONE:
            found[graph.edge_target[root]] = _frame_key(
                graph.string(graph.frame_function[frame]), graph.string(graph.frame_file[frame])
            )
    return found


def _function_keys(
    graph: HeapGraph, strings: array[int], known: dict[tuple[int, int], int]
) -> Iterator[tuple[int, int]]:
    """Yield each function that has a name with the key of its name and file.

    ``known``: the keys so far, by those of the two texts; most functions are in all snapshots.
    """
    is_function = [name == "function" for name in graph.type_names]
    columns = (graph.sections[f"name_{column}"] for column in ("node", "text", "file"))
    for node, text, file in zip(*columns, strict=True):
        if not is_function[graph.node_type[node]]:
            continue
        if max(text, file) >= len(strings):
            graph.string(max(text, file))  # says what is wrong with the file
        pair = strings[text], strings[file] if file else 0
        key = known.get(pair)
        if key is None and (name := graph.string(text)):
            key = text_key(f"function {name} {graph.string(file) if file else ''}")
            known[pair] = key
        if key is not None:
            yield node, key


def nodes_of_types(graph: HeapGraph, names: frozenset[str]) -> array[int]:
    """Return the nodes of types with these names."""
    marks = bytes(name in names for name in graph.type_names)
    return checked_core.nodes_of_types(graph.node_type, marks)


def code_of(graph: HeapGraph, node: int) -> tuple[str, str] | None:
    """Return the qualified name and the file of the code of a suspended frame."""
    for edge in graph.edges(node):
        if edge.kind is EdgeKind.INTERNAL and edge.name in _CODE_FIELDS:
            location = graph.location_of(edge.target)
            return graph.name_of(edge.target), location.file if location else ""
    return None


def _frame_key(function: str, file: str) -> int:
    return text_key(f"frame {function} {file}")


def _root_keys(graph: HeapGraph, strings: array[int]) -> array[int]:
    """Return a key for each root: of its kind and its name."""
    return array(
        "Q",
        [
            strings[name] ^ kind * _KIND_FACTOR & _MASK
            for kind, name in zip(graph.root_kind, graph.root_name, strict=True)
        ],
    )
