"""Places of one snapshot: where each object hangs, with keys and indexes as wildcards.

The key of a place is equal in all snapshots of a process, so that the contents of a place can be
followed where the objects in it are replaced: a tuple that is rebuilt, coroutines of one function
that come and go, the instances of a class that each gain a little.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping
from functools import cached_property
from typing import Any

from memlens._core.layout import NONE, NodeFlag, RootKind
from memlens.heap.graph import checked_core
from memlens.heap.graph.heap_graph import HeapGraph
from memlens.leaks.place_keys import find_place_keys, nodes_of_types, text_key

__all__ = (
    "CONTEXT_VARIABLES",
    "EXIT_CALLBACKS",
    "MIN_BUFFER_BYTES",
    "TRIE_NODES",
    "PlaceIndex",
)

EXIT_CALLBACKS = "<interpreter: atexit>"  # the name of that place, for people
_WITHOUT_ELEMENTS = frozenset(
    {"frame", "code", "type", "module", "function", "coroutine", "generator", "async_generator"}
)
TRIE_NODES = "hamt"  # what a context refers to; its nodes begin so: made anew for each setting
CONTEXT_VARIABLES = frozenset({"_contextvars.ContextVar", "ContextVar"})
_MIN_REFERENCES = 8  # an object that no length is known of, and that refers to so many
MIN_BUFFER_BYTES = 512


class PlaceRows(Mapping[int, "array[int]"]):
    """Nodes by the key of their place, in columns: an array for each place is made when asked for."""

    def __init__(self, keys: array[int], offset: array[int], nodes: array[int]) -> None:
        self.place_keys, self.offset, self.nodes = keys, offset, nodes

    def __len__(self) -> int:
        return len(self.place_keys)

    def __iter__(self) -> Iterator[int]:
        return iter(self.place_keys)

    def __getitem__(self, key: int) -> array[int]:
        row = bisect_left(self.place_keys, key)
        if row == len(self.place_keys) or self.place_keys[row] != key:
            raise KeyError(key)
        return self._row(row)

    def _row(self, row: int) -> array[int]:
        return self.nodes[self.offset[row] : self.offset[row + 1]]

    def has(self, key: int, node: int) -> bool:
        """Tell whether a place contains a node."""
        row = bisect_left(self.place_keys, key)
        if row == len(self.place_keys) or self.place_keys[row] != key:
            return False
        end = self.offset[row + 1]
        at = bisect_left(self.nodes, node, self.offset[row], end)
        return at < end and self.nodes[at] == node

    def counts(self) -> dict[int, int]:
        """Return how many nodes each place has."""
        offset = self.offset
        return {key: offset[row + 1] - offset[row] for row, key in enumerate(self.place_keys)}


class PlaceIndex:
    """The places of one graph: of each node its key; of each place what it contains.

    ``hidden``: nodes with one of these flags are left out. ``is_last``: the key of each node is
    needed again, and is kept. Of an earlier graph only what places contain is kept, and which nodes
    are hidden; asked for the keys, it finds them anew. ``function_keys``: a dictionary that the
    indexes of one process share.
    """

    def __init__(
        self,
        graph: HeapGraph,
        hidden: int,
        *,
        is_last: bool = True,
        function_keys: dict[tuple[int, int], int] | None = None,
    ) -> None:
        self._graph = graph
        self._hidden = hidden
        self._is_last = is_last
        self._function_keys = {} if function_keys is None else function_keys
        for name in ("_block_owners", "containers", "buffers", "repeated", "tries"):
            getattr(self, name)  # here, so that the columns of all nodes are needed no more
        if is_last:
            del self._repeats
            self._numbered = checked_core.number_keys(self.keys)
            del self.keys
        else:
            for name in ("_own", "_hidden_nodes"):
                getattr(self, name)
            del self.keys, self._repeats  # 9 bytes a node
            graph.forget_flags()  # 2 bytes a node

    def key_of(self, node: int) -> int:
        """Return the key of a node's place."""
        if self._is_last:
            numbers, keys = self._numbered
            return keys[numbers[node]]
        return self.keys[node]

    @cached_property
    def keys(self) -> array[int]:
        """The key of each node's place, which `key_of` tells in less memory."""
        # The paths are not kept: they are needed again for holders alone, when much else is gone.
        paths = self._graph.find_path_edges()
        keys, self._repeats = find_place_keys(self._graph, paths, self._function_keys)
        return keys

    def is_at(self, node: int, key: int) -> bool:
        """Tell whether a node is in the place with this key."""
        if not self._is_last and "keys" not in self.__dict__:
            if self.containers.has(key, node):
                return True
            if self._is_container(node):
                return False
            own, own_keys = self._own
            if _is_in(own, node):
                return own_keys[bisect_left(own, node)] == key
            if self._graph.dominators.dominator[node] == NONE:
                return key == 0  # garbage
        return self.key_of(node) == key

    @cached_property
    def _own(self) -> tuple[array[int], array[int]]:
        """Memlens's own objects, whose addresses the program's may use later, and their keys."""
        nodes = checked_core.nodes_flagged(self._graph.flags, int(NodeFlag.OWN))
        return nodes, array("Q", map(self.keys.__getitem__, nodes))

    @cached_property
    def _hidden_nodes(self) -> array[int]:
        """The hidden nodes of an earlier graph, ascending: few, where the flags are 2 bytes each."""
        return checked_core.nodes_flagged(self._graph.flags, self._hidden)

    def visible(self, nodes: set[int]) -> set[int]:
        """Return those nodes that are not hidden."""
        if self._is_last:
            flags, hidden = self._graph.flags, self._hidden
            return {node for node in nodes if not flags[node] & hidden}
        listed = self._hidden_nodes
        if len(listed) < len(nodes):
            return nodes.difference(listed)
        return {node for node in nodes if not _is_in(listed, node)}

    def _is_container(self, node: int) -> bool:
        """Tell whether a node is among `containers`, in whatever place."""
        graph = self._graph
        if graph.node_flags[node] & int(NodeFlag.HEAP_TYPE) or not self.visible({node}):
            return False
        if node in self._block_owners:
            return False
        count = graph.edge_offset[node + 1] - graph.edge_offset[node]
        return graph.length_of(node) is not None or (
            count >= _MIN_REFERENCES and not self._without_elements[graph.node_type[node]]
        )

    def _grouped(self, mark: array[int], also_hidden: int = 0) -> PlaceRows:
        hidden = self._hidden | also_hidden
        return PlaceRows(*checked_core.group_nodes(self.keys, mark, self._graph.flags, hidden))

    @cached_property
    def containers(self) -> PlaceRows:
        """The containers in each place: sized ones, and opaque objects that refer to many others."""
        graph = self._graph
        mark = checked_core.mark_containers(
            graph.edge_offset,
            graph.node_type,
            self._without_elements,
            graph.sections["container_node"],
            _MIN_REFERENCES,
        )
        for node in self._block_owners:
            mark[node] = 0
        return self._grouped(mark, NodeFlag.HEAP_TYPE)  # classes of any metaclass

    @cached_property
    def _block_owners(self) -> frozenset[int]:
        """The objects without a length that refer mostly to native blocks, which are no elements."""
        graph = self._graph
        if graph.native is None:
            return frozenset()
        owners = checked_core.mostly_flagged(
            graph.edge_offset,
            graph.edge_target,
            graph.edge_label,
            graph.flags,
            int(NodeFlag.NATIVE),
        )
        return frozenset(node for node in owners if graph.length_of(node) is None)

    @cached_property
    def _without_elements(self) -> bytes:
        """A byte for each type: 1 where many references do not make an object a container."""
        return bytes(
            name in _WITHOUT_ELEMENTS or name.startswith(TRIE_NODES)
            for name in self._graph.type_names
        )

    @property
    def _length_columns(self) -> tuple[Any, ...]:
        """What tells the core the number of elements of a node, or else of its strong references."""
        graph = self._graph
        sized = graph.sections["container_node"], graph.sections["container_length"]
        return graph.edge_offset, graph.edge_label, *sized

    def lengths(self) -> Iterator[tuple[int, int]]:
        """Return each place with the number of elements of all its containers together."""
        places = self.containers
        sums = checked_core.row_lengths(places.offset, places.nodes, *self._length_columns)
        return zip(places.place_keys, sums, strict=True)

    def gains(self, same: array[int], before: PlaceIndex) -> Iterator[tuple[int, int]]:
        """Return each place with the number by which its containers are longer than before.

        ``same``: for each node the same object's node in the graph of ``before``, or `NONE`; new
        ones do not count.
        """
        places = self.containers
        gained = checked_core.row_gains(
            places.offset, places.nodes, same, *before._length_columns, *self._length_columns
        )
        return zip(places.place_keys, gained, strict=True)

    @cached_property
    def holding_own(self) -> frozenset[int]:
        """The nodes most of whose references lead to memlens's own objects, without these."""
        graph = self._graph
        return frozenset(
            checked_core.mostly_flagged(
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
        _ = self.keys  # found together
        return self._grouped(self._repeats)

    @cached_property
    def buffers(self) -> PlaceRows:
        """Large objects without elements, in each place: texts, arrays, buffers."""
        graph = self._graph
        return self._grouped(
            checked_core.mark_buffers(
                graph.node_size, graph.sections["container_node"], MIN_BUFFER_BYTES
            )
        )

    @cached_property
    def tries(self) -> dict[int, list[int]]:
        """The tries in which contexts keep their variables, by the key of their place."""
        found: dict[int, list[int]] = {}
        for node in nodes_of_types(self._graph, frozenset({TRIE_NODES})):
            if not self._graph.flags[node] & self._hidden:
                found.setdefault(self.keys[node], []).append(node)
        return found

    @cached_property
    def external(self) -> dict[int, list[int]]:
        """The objects that only native code refers to, by their type's place; atexit is one place."""
        graph = self._graph
        dominator = graph.dominators.dominator
        exits: list[int] = []
        held: list[int] = []
        for root, kind in enumerate(graph.root_kind):
            if kind == RootKind.EXTERNAL:
                nodes = held
            elif kind == RootKind.INTERPRETER and is_exit_callback(graph, root):
                nodes = exits
            else:
                continue
            node = graph.edge_target[root]
            if dominator[node] == 0 and self.visible({node}):
                nodes.append(node)
        found = {text_key(EXIT_CALLBACKS): exits} if exits else {}
        referred = _referred_by_others(graph, held)
        for node in held:
            if node not in referred:
                found.setdefault(text_key(graph.type_of(node)), []).append(node)
        return found


def _referred_by_others(graph: HeapGraph, nodes: Collection[int]) -> set[int]:
    """Return those nodes to which objects refer that are alive without the node.

    tracemalloc holds such: the names of files, to which code objects refer.
    """
    sources, targets = bytearray(b"\1") * graph.node_count, bytearray(graph.node_count)
    sources[0] = 0  # the process
    for node in nodes:
        targets[node] = 1
    edges = checked_core.edges_between(
        graph.edge_offset, graph.edge_target, graph.edge_label, sources, targets
    )
    found: set[int] = set()
    for edge in edges:
        node = graph.edge_target[edge]
        if node not in found and _is_alive_without(graph, graph.edge_source(edge), node):
            found.add(node)
    return found


def _is_alive_without(graph: HeapGraph, other: int, node: int) -> bool:
    """Tell whether an object is reachable without a node: it is no garbage, and not below the node."""
    dominator = graph.dominators.dominator
    while other not in (node, 0, NONE):
        other = dominator[other]
    return other == 0


def _is_in(nodes: array[int], node: int) -> bool:
    """Tell whether a node is among ascending ones."""
    at = bisect_left(nodes, node)
    return at < len(nodes) and nodes[at] == node


def is_exit_callback(graph: HeapGraph, root: int) -> bool:
    """Tell whether this root is a function in the array of atexit, which CPython has up to 3.13."""
    name = graph.string(graph.root_name[root])
    return name.startswith("atexit[") and name.endswith("]")
