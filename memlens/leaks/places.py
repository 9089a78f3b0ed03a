"""Places of one snapshot: where each object hangs, with keys and indexes as wildcards.

The key of a place is equal in all snapshots of a process, so that the contents of a place can be
followed where the objects in it are replaced: a tuple that is rebuilt, coroutines of one function
that come and go, the instances of a class that each gain a little.
"""

from __future__ import annotations

import zlib
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from functools import cached_property

from memlens import _core
from memlens._core.layout import NONE, EdgeKind, NodeFlag, RootKind
from memlens.heap.graph.heap_graph import HeapGraph

__all__ = (
    "CONTEXT_VARIABLES",
    "EXIT_CALLBACKS",
    "MIN_BUFFER_BYTES",
    "SUSPENDED",
    "TRIE_NODES",
    "PlaceIndex",
    "code_of",
    "nodes_of_types",
)

EXIT_CALLBACKS = "<interpreter: atexit>"  # the name of that place, for people
SUSPENDED = frozenset({"coroutine", "generator", "async_generator"})
_CODE_FIELDS = frozenset({"gi_code", "cr_code", "ag_code", "f_code"})
_WITHOUT_ELEMENTS = frozenset(
    {"frame", "code", "type", "module", "function", "coroutine", "generator", "async_generator"}
)
TRIE_NODES = "hamt"  # of contextvars: made anew each time one is set
CONTEXT_VARIABLES = frozenset({"_contextvars.ContextVar", "ContextVar"})
_MIN_REFERENCES = 8  # an object that no length is known of, and that refers to so many
MIN_BUFFER_BYTES = 512
_MASK = 0xFFFF_FFFF_FFFF_FFFF
_KIND_FACTOR = 0x9E37_79B9_7F4A_7C15  # spreads the few kinds of roots over 64 bits


class PlaceRows(Mapping[int, list[int]]):
    """Nodes by the key of their place, in columns: a list for each place is made when asked for."""

    def __init__(self, keys: array[int], offset: array[int], nodes: array[int]) -> None:
        self.place_keys, self.offset, self.nodes = keys, offset, nodes

    def __len__(self) -> int:
        return len(self.place_keys)

    def __iter__(self) -> Iterator[int]:
        return iter(self.place_keys)

    def __getitem__(self, key: int) -> list[int]:
        row = bisect_left(self.place_keys, key)
        if row == len(self.place_keys) or self.place_keys[row] != key:
            raise KeyError(key)
        return self._row(row)

    def _row(self, row: int) -> list[int]:
        return self.nodes[self.offset[row] : self.offset[row + 1]].tolist()

    def counts(self) -> dict[int, int]:
        """Return how many nodes each place has."""
        offset = self.offset
        return {key: offset[row + 1] - offset[row] for row, key in enumerate(self.place_keys)}


class PlaceIndex:
    """The places of one graph: of each node its key; of each place what it contains.

    ``hidden``: nodes with one of these flags are left out. ``is_last``: the paths of the graph are
    needed again, and are kept.
    """

    def __init__(self, graph: HeapGraph, hidden: int, *, is_last: bool = True) -> None:
        self._graph = graph
        self._hidden = hidden
        paths = graph.path_edges if is_last else graph.find_path_edges()
        self.keys, self._repeats = _place_keys(graph, paths)

    def _grouped(self, mark: array[int], also_hidden: int = 0) -> PlaceRows:
        hidden = self._hidden | also_hidden
        return PlaceRows(*_core.group_nodes(self.keys, mark, self._graph.flags, hidden))

    @cached_property
    def containers(self) -> PlaceRows:
        """The containers in each place: sized ones, and opaque objects that refer to many others."""
        graph = self._graph
        skipped = bytes(
            name in _WITHOUT_ELEMENTS or name.startswith(TRIE_NODES) for name in graph.type_names
        )
        return self._grouped(
            _core.mark_containers(
                graph.edge_offset,
                graph.node_type,
                skipped,
                graph.sections["container_node"],
                _MIN_REFERENCES,
            ),
            NodeFlag.HEAP_TYPE,  # classes of any metaclass
        )

    @cached_property
    def node_lengths(self) -> array[int]:
        """The number of elements of each node, or else of its strong references."""
        graph = self._graph
        return _core.node_lengths(
            graph.edge_offset,
            graph.edge_target,
            graph.edge_label,
            graph.sections["container_node"],
            graph.sections["container_length"],
        )

    @cached_property
    def lengths(self) -> dict[int, int]:
        """The number of elements of all the containers of each place together."""
        places = self.containers
        sums = _core.row_sums(places.offset, places.nodes, self.node_lengths)
        return dict(zip(places.place_keys, sums, strict=True))

    def gains(self, before: PlaceIndex, same: array[int]) -> dict[int, int]:
        """Return by how much the containers of each place are longer than they were before.

        ``same``: for each node the same object's node before, or `NONE`; new ones do not count.
        """
        places = self.containers
        gained = _core.row_gains(
            places.offset, places.nodes, same, before.node_lengths, self.node_lengths
        )
        return dict(zip(places.place_keys, gained, strict=True))

    @cached_property
    def holding_own(self) -> frozenset[int]:
        """The nodes most of whose references lead to memlens's own objects, without these."""
        graph = self._graph
        return frozenset(
            _core.mostly_flagged(
                graph.edge_offset,
                graph.edge_target,
                graph.edge_label,
                graph.flags,
                int(NodeFlag.OWN),
            )
        )

    @cached_property
    def repeated(self) -> PlaceRows:
        """The objects of places that repeat themselves: the links of chains and trees."""
        return self._grouped(self._repeats)

    @cached_property
    def buffers(self) -> PlaceRows:
        """Large objects without elements, in each place: texts, arrays, buffers."""
        graph = self._graph
        return self._grouped(
            _core.mark_buffers(graph.node_size, graph.sections["container_node"], MIN_BUFFER_BYTES)
        )

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


def _place_keys(graph: HeapGraph, path_edges: memoryview) -> tuple[array[int], array[int]]:
    strings = _core.text_keys(graph.sections["string_offset"], graph.sections["string_bytes"])
    namespace = _text_key("__dict__")
    anchors = sorted(_anchors(graph).items())
    return _core.place_keys(
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


def _anchors(graph: HeapGraph) -> dict[int, int]:
    """Return the key of each function, suspended frame and running frame: that of its code."""
    found = dict(_function_keys(graph))
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


def _function_keys(graph: HeapGraph) -> Iterator[tuple[int, int]]:
    """Yield each function that has a name with the key of its name and file."""
    is_function = [name == "function" for name in graph.type_names]
    known: dict[tuple[int, int], int] = {}  # many closures have one name
    names = (graph.sections[f"name_{column}"] for column in ("node", "text", "file"))
    for node, text, file in zip(*names, strict=True):
        if not is_function[graph.node_type[node]]:
            continue
        key = known.get((text, file))
        if key is None and (name := graph.string(text)):
            key = _text_key(f"function {name} {graph.string(file) if file else ''}")
            known[text, file] = key
        if key is not None:
            yield node, key


def nodes_of_types(graph: HeapGraph, names: frozenset[str]) -> array[int]:
    """Return the nodes of types with these names."""
    marks = bytes(name in names for name in graph.type_names)
    return _core.nodes_of_types(graph.node_type, marks)


def code_of(graph: HeapGraph, node: int) -> tuple[str, str] | None:
    """Return the qualified name and the file of the code of a suspended frame."""
    for edge in graph.edges(node):
        if edge.kind is EdgeKind.INTERNAL and edge.name in _CODE_FIELDS:
            location = graph.location_of(edge.target)
            return graph.name_of(edge.target), location.file if location else ""
    return None


def _frame_key(function: str, file: str) -> int:
    return _text_key(f"frame {function} {file}")


def _root_keys(graph: HeapGraph, strings: array[int]) -> array[int]:
    """Return a key for each root: of its kind and its name."""
    return array(
        "Q",
        [
            strings[name] ^ kind * _KIND_FACTOR & _MASK
            for kind, name in zip(graph.root_kind, graph.root_name, strict=True)
        ],
    )
