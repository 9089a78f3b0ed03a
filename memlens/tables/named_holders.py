"""Which objects of a heap are holders with a name that is equal in every process.

A holder is a module, a running or suspended function, or what these reach by names alone:
``shop.cart.CACHE``, ``shop.api.service.cache``, ``main() (app.py) local 'jobs'``. What lies under
keys, positions or members has no name of its own and belongs to the holder above it; so do functions,
classes, numbers and texts. Whether an object is a holder depends on its path only, never on its
size: so it is one in every process that has it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from memlens._core.layout import KIND_MASK, LABEL_BITS, NONE, EdgeKind, NodeFlag, RootKind
from memlens.heap.graph.heap_graph import Edge, HeapGraph
from memlens.heap.graph.paths import RetentionPath, RetentionPathFinder, reference_text
from memlens.heap.graph.root_names import root_kind, root_text
from memlens.heap.views.visibility import HIDDEN
from memlens.leaks.fingerprints import stable_place, stable_text
from memlens.leaks.people_paths import path_for_people
from memlens.leaks.place_keys import SUSPENDED, TASKS, code_of, nodes_of_types

__all__ = ("NamedHolder", "named_holders")

_MAX_NAMES = 8  # below a root; what is deeper belongs to the holder above it
_NAMED = (EdgeKind.ATTRIBUTE, EdgeKind.LOCAL, EdgeKind.CELL)
_CELL_CONTENTS = "cell_contents"  # what the name of the variable means
_THROUGH = frozenset({"__dict__", "__closure__", _CELL_CONTENTS})  # internal, part of one name
_ROOTS = (RootKind.MODULE, RootKind.FRAME, RootKind.INTERPRETER, RootKind.EXTERNAL)
_ATOMS = frozenset(
    {"NoneType", "NotImplementedType", "bool", "complex", "ellipsis", "float", "int", "str"}
)
_TABLES = frozenset(
    {"bytes", "collections.deque", "dict", "frozenset", "list", "set", "tuple"}
)  # without attributes
_CODE = frozenset(
    {
        "builtin_function_or_method",
        "cell",
        "classmethod",
        "classmethod_descriptor",
        "code",
        "function",
        "getset_descriptor",
        "member_descriptor",
        "method",
        "method-wrapper",
        "method_descriptor",
        "module",
        "property",
        "staticmethod",
        "type",
        "wrapper_descriptor",
    }
)  # belongs to the module, class or function that defines it
_BETWEEN = frozenset({"coroutine_wrapper", "async_generator_asend", "async_generator_athrow"})
_MAX_AWAITED = 100


class NamedHolder(NamedTuple):
    """A holder, or a part of one such as a class or a namespace: its node, and the holder's place.

    The place is equal in every process.
    """

    node: int
    place: str
    is_part: bool


class _Place(NamedTuple):
    node: int
    text: str
    holder: str  # the text of the nearest holder, itself or above
    names: tuple[int, ...]  # the labels of the edges from the root that have a name
    is_part: bool = False  # the tuple of a closure, a namespace: its reference is no name


def named_holders(graph: HeapGraph) -> Iterator[NamedHolder]:
    """Yield the holders of a heap and their parts, each node once.

    Several holders may have one place: that of a function which several threads run.
    """
    yield from _Walk(graph).holders()


class _Walk:
    """Follows the best paths from the roots along names."""

    def __init__(self, graph: HeapGraph) -> None:
        self._graph = graph
        self._path_edges = graph.path_edges
        self._texts: dict[int, str] = {}  # of the labels of edges
        self._class_flag = int(NodeFlag.HEAP_TYPE)
        self._namespace_flag = int(NodeFlag.NAMESPACE)

    def holders(self) -> Iterator[NamedHolder]:
        starts = {place.node: place for place in (*self._roots(), *self._suspended())}
        waiting = list(starts.values())
        for place in waiting:
            yield NamedHolder(place.node, place.holder, is_part=False)
        while waiting:
            place = waiting.pop()
            for below in self._below(place):
                if below.node in starts:
                    continue  # a suspended function has a name of its own
                if not self._is_atom(below.node):
                    is_part = below.holder == place.holder
                    yield NamedHolder(below.node, below.holder, is_part)
                    waiting.append(below)

    def _roots(self) -> Iterator[_Place]:
        graph = self._graph
        finder = RetentionPathFinder(graph)
        for root, kind in enumerate(graph.root_kind):
            node = graph.edge_target[root]
            if kind not in _ROOTS or self._path_edges[node] != root or not self._is_shown(node):
                continue
            if kind == RootKind.EXTERNAL and not self._is_holder(node):
                continue
            path = RetentionPath(root_text(graph, root), root_kind(graph, root), ())
            yield _Place(node, *_twice(stable_place(path_for_people(graph, path, finder))), ())

    def _suspended(self) -> Iterator[_Place]:
        for node in nodes_of_types(self._graph, SUSPENDED):
            if self._path_edges[node] != NONE and self._is_shown(node):
                code = code_of(self._graph, node)
                if code is not None:
                    kind = "task" if self._is_of_task(node) else self._graph.type_of(node)
                    yield _Place(node, *_twice(stable_text(f"{kind} {code[0]}()")), ())

    def _is_of_task(self, node: int) -> bool:
        """Return whether a task runs a suspended function, itself or through those that await it."""
        graph = self._graph
        for _ in range(_MAX_AWAITED):
            node = graph.edge_source(self._path_edges[node])
            type_name = graph.type_of(node) if node else ""
            if type_name in TASKS:
                return True
            if type_name not in SUSPENDED and type_name not in _BETWEEN:
                return False
        return False

    def _below(self, place: _Place) -> Iterator[_Place]:
        """Yield what a place reaches by one name more, or by a part of a name."""
        graph = self._graph
        node, text, holder, names, is_part = place
        type_name = graph.type_of(node)
        is_namespace = graph.node_flags[node] & self._namespace_flag
        if type_name in _TABLES and not is_part and not is_namespace:
            return
        start, end = graph.edge_offset[node], graph.edge_offset[node + 1]
        edges = zip(
            range(start, end),
            graph.edge_target[start:end].tolist(),
            graph.edge_label[start:end].tolist(),
            strict=True,
        )
        for edge, target, label in edges:
            if self._path_edges[target] != edge or not self._is_shown(target):
                continue
            kind = label & KIND_MASK
            if kind == EdgeKind.INTERNAL:
                part = graph.string(label >> LABEL_BITS)
                if part in _THROUGH:
                    is_named = part == _CELL_CONTENTS and self._is_holder(target)
                    yield _Place(target, text, text if is_named else holder, names, True)
            elif kind in _NAMED and label not in names and len(names) < _MAX_NAMES:
                name = self._name(label)
                if name:
                    below = text + name
                    owner = below if self._is_holder(target) else holder
                    yield _Place(target, below, owner, (*names, label))

    def _name(self, label: int) -> str:
        """Return the text of a name; empty for one that the interpreter gives."""
        known = self._texts.get(label)
        if known is None:
            name = self._graph.string(label >> LABEL_BITS)
            is_given = not name or (name.startswith("__") and name.endswith("__"))
            edge = Edge(0, 0, EdgeKind(label & KIND_MASK), name, 0)
            known = "" if is_given else stable_text(reference_text(edge, None, ""))
            self._texts[label] = known
        return known

    def _is_shown(self, node: int) -> bool:
        return not self._graph.flags[node] & HIDDEN

    def _is_atom(self, node: int) -> bool:
        return self._graph.type_of(node) in _ATOMS

    def _is_holder(self, node: int) -> bool:
        """Return whether an object with a name is data, neither code nor a number or a text."""
        graph = self._graph
        type_name = graph.type_of(node)
        if type_name in _ATOMS or type_name in _CODE:
            return False
        return not graph.node_flags[node] & (self._class_flag | self._namespace_flag)


def _twice(text: str) -> tuple[str, str]:
    """Return the text of a root, which is a holder itself."""
    return text, text
