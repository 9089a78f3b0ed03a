"""Places of one snapshot: where each object hangs, with keys and indexes as wildcards.

The key of a place is equal in all snapshots of a process, so that the contents of a place can be
followed where the objects in it are replaced: a tuple that is rebuilt, coroutines of one function
that come and go, the instances of a class that each gain a little.
"""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Iterator
from functools import cached_property

from memlens import _core
from memlens._core.layout import NONE, EdgeKind, RootKind
from memlens.heap.graph.heap_graph import HeapGraph

__all__ = ("EXIT_CALLBACKS", "MIN_BUFFER_BYTES", "SUSPENDED", "TRIE_NODES", "PlaceIndex", "code_of")

EXIT_CALLBACKS = "<interpreter: atexit>"  # the name of that place, for people
SUSPENDED = frozenset({"coroutine", "generator", "async_generator"})
_CODE_FIELDS = frozenset({"gi_code", "cr_code", "ag_code", "f_code"})
_WITHOUT_ELEMENTS = frozenset(
    {"frame", "code", "type", "module", "function", "coroutine", "generator", "async_generator"}
)
TRIE_NODES = "hamt"  # of contextvars: made anew each time one is set
_MIN_REFERENCES = 8  # an object that no length is known of, and that refers to so many
MIN_BUFFER_BYTES = 512


class PlaceIndex:
    """The places of one graph: of each node its key; of each place what it contains.

    ``hidden``: nodes with one of these flags are left out.
    """

    def __init__(self, graph: HeapGraph, hidden: int) -> None:
        self._graph = graph
        self._hidden = hidden
        self.keys, self.repeats = _place_keys(graph)

    @cached_property
    def containers(self) -> dict[int, list[int]]:
        """The containers in each place."""
        graph, keys, hidden = self._graph, self.keys, self._hidden
        flags = graph.flags
        found: dict[int, list[int]] = {}
        for node in self._container_nodes():
            if not flags[node] & hidden:
                found.setdefault(keys[node], []).append(node)
        return found

    def _container_nodes(self) -> Iterator[int]:
        """Sized containers, and opaque objects that refer to many others."""
        graph = self._graph
        sized = graph.sections["container_node"]
        yield from sized
        known = set(sized)
        offset, kinds = graph.edge_offset, graph.node_type
        skipped = {
            row
            for row, name in enumerate(graph.type_names)
            if name in _WITHOUT_ELEMENTS or name.startswith(TRIE_NODES)
        }
        for node in range(1, graph.node_count):
            many = offset[node + 1] - offset[node] >= _MIN_REFERENCES
            if many and node not in known and kinds[node] not in skipped:
                yield node

    @cached_property
    def lengths(self) -> dict[int, int]:
        """The number of elements of all the containers of each place together."""
        length = dict(
            zip(
                self._graph.sections["container_node"],
                self._graph.sections["container_length"],
                strict=True,
            )
        )
        offset = self._graph.edge_offset
        return {
            key: sum(
                length[node] if node in length else offset[node + 1] - offset[node]
                for node in nodes
            )
            for key, nodes in self.containers.items()
        }

    @cached_property
    def repeated(self) -> dict[int, list[int]]:
        """The objects of places that repeat themselves: the links of chains and trees."""
        flags, keys = self._graph.flags, self.keys
        found: dict[int, list[int]] = {}
        for node, repeats in enumerate(self.repeats):
            if repeats and not flags[node] & self._hidden:
                found.setdefault(keys[node], []).append(node)
        return found

    @cached_property
    def buffers(self) -> dict[int, list[int]]:
        """Large objects without elements, in each place: texts, arrays, buffers."""
        graph, keys, flags = self._graph, self.keys, self._graph.flags
        sized = set(graph.sections["container_node"])
        found: dict[int, list[int]] = {}
        for node, size in enumerate(graph.node_size):
            if size >= MIN_BUFFER_BYTES and node not in sized and not flags[node] & self._hidden:
                found.setdefault(keys[node], []).append(node)
        return found

    @cached_property
    def external(self) -> dict[int, list[int]]:
        """The objects that only native code refers to, by their type's place; atexit is one place."""
        graph = self._graph
        dominator, flags = graph.dominators.dominator, graph.flags
        found: dict[int, list[int]] = {}
        for root, kind in enumerate(graph.root_kind):
            node = graph.edge_target[root]
            at_exit = kind == RootKind.INTERPRETER and is_exit_callback(graph, root)
            if (
                (at_exit or kind == RootKind.EXTERNAL)
                and dominator[node] == 0
                and not flags[node] & self._hidden
            ):
                place = EXIT_CALLBACKS if at_exit else graph.type_of(node)
                found.setdefault(_text_key(place), []).append(node)
        return found


def is_exit_callback(graph: HeapGraph, root: int) -> bool:
    """Tell whether this root is a function in the array of atexit, which CPython has up to 3.13."""
    name = graph.string(graph.root_name[root])
    return name.startswith("atexit[") and name.endswith("]")


def _text_key(text: str) -> int:
    data = text.encode("utf-8", "surrogatepass")
    return zlib.crc32(data) << 32 | zlib.crc32(data, 0x5EED)


def _place_keys(graph: HeapGraph) -> tuple[array[int], array[int]]:
    strings = [graph.string(number) for number in range(graph.string_count)]
    string_keys = array("Q", map(_text_key, strings))
    type_keys = array("Q", [string_keys[number] for number in graph.type_name])
    anchors = sorted(_anchors(graph).items())
    return _core.place_keys(
        graph.edge_offset,
        graph.edge_target,
        graph.edge_label,
        graph.path_edges,
        graph.node_type,
        string_keys,
        type_keys,
        array("Q", [_root_key(graph, root) for root in range(graph.root_count_total)]),
        array("I", [node for node, _ in anchors]),
        array("Q", [key for _, key in anchors]),
        strings.index("__dict__") if "__dict__" in strings else NONE >> 3,
    )


def _anchors(graph: HeapGraph) -> dict[int, int]:
    """Return the key of each function, suspended frame and running frame: that of its code."""
    names = graph.type_names
    functions = {row for row, name in enumerate(names) if name == "function"}
    suspended = {row for row, name in enumerate(names) if name in SUSPENDED}
    found: dict[int, int] = {}
    for node, kind in enumerate(graph.node_type):
        if kind in functions:
            name, location = graph.name_of(node), graph.location_of(node)
            if name:
                found[node] = _text_key(f"function {name} {location.file if location else ''}")
        elif kind in suspended:
            code = code_of(graph, node)
            if code is not None:
                found[node] = _frame_key(*code)
    for root, frame in enumerate(graph.root_frame):
        if frame != NONE:
            found[graph.edge_target[root]] = _frame_key(
                graph.string(graph.frame_function[frame]), graph.string(graph.frame_file[frame])
            )
    return found


def code_of(graph: HeapGraph, node: int) -> tuple[str, str] | None:
    """Return the qualified name and the file of the code of a suspended frame."""
    for edge in graph.edges(node):
        if edge.kind is EdgeKind.INTERNAL and edge.name in _CODE_FIELDS:
            location = graph.location_of(edge.target)
            return graph.name_of(edge.target), location.file if location else ""
    return None


def _frame_key(function: str, file: str) -> int:
    return _text_key(f"frame {function} {file}")


def _root_key(graph: HeapGraph, root: int) -> int:
    kind = RootKind(graph.root_kind[root])
    return _text_key(f"{kind.name} {graph.string(graph.root_name[root])}")
