"""References that neither traversal nor a plan yields, recognized by reference counts.

An object with more references than the heap explains has a referrer that cannot be traversed: a
running frame, the subclass list of a class, an instance with a hidden dict. If the referrer can be
identified, it gets an edge, and the number of unexplained references decreases.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from types import CellType, FrameType, FunctionType, ModuleType
from typing import Any
from weakref import ReferenceType

from memlens._core.layout import EdgeKind
from memlens._core.pure.access import function_code, has_inline_values, is_class, module_namespace
from memlens._core.pure.labels import StringTable, label
from memlens._core.pure.running_frames import RunningFrame, bound_variables, variable_names
from memlens._core.pure.suspended_frames import IS_GENERATOR
from memlens._core.pure.walk import WalkedHeap

__all__ = ("Explanations",)

_UNNAMED = label(EdgeKind.INTERNAL)
_OPTIMIZED = 0x01
_bases = type.__dict__["__bases__"].__get__
_cell_contents = CellType.__dict__["cell_contents"].__get__
_globals_of = FunctionType.__dict__["__globals__"].__get__


class Explanations:
    """Adds edges for unexplained references.

    ``edges`` has them by source. ``excess`` has the number of references that are still unexplained.
    """

    def __init__(self, heap: WalkedHeap, excess: dict[int, int], strings: StringTable) -> None:
        self.edges: dict[int, list[tuple[int, int]]] = {}
        self.excess = excess
        self._heap = heap
        self._strings = strings

    def add(self, source: int, target: int, kind: EdgeKind, name: str) -> None:
        """Add an edge and subtract the reference from the target's excess."""
        self.edges.setdefault(source, []).append((target, label(kind, self._strings[name])))
        left = self.excess.get(target, 0) - 1
        if left > 0:
            self.excess[target] = left
        else:
            self.excess.pop(target, None)

    def nodes_with_excess(self, kind: type) -> list[int]:
        """Return the objects of exactly this type with unexplained references."""
        objects = self._heap.objects
        return [node for node in self.excess if type(objects[node]) is kind]

    def subclass_lists(self) -> None:
        """Add the edge from each class to its dict of subclasses, which traversal skips."""
        for node in self.nodes_with_excess(dict):
            owner = _common_base(self._heap.objects[node])
            if owner is not None:
                self.add(self._heap.number[id(owner)], node, EdgeKind.INTERNAL, "__subclasses__")

    def module_names(self) -> None:
        """Add the edge from each module to its original name, which is stored in the module object."""
        number = self._heap.number
        for module in [*sys.modules.values()]:
            if type(module) is not ModuleType:
                continue
            name = module_namespace(module).get("__name__")
            node = number.get(id(name), 0)
            if type(name) is str and node in self.excess and id(module) in number:
                self.add(number[id(module)], node, EdgeKind.INTERNAL, "md_name")

    def embedded_dicts(self) -> None:
        """Add the edge from an instance to a dict that shares its values with the instance.

        Traversal in 3.13.0 skips such a dict. It is matched by its values, which are exactly the
        attributes of the instance.
        """
        wanted: dict[tuple[int, ...], list[int]] = {}
        heap = self._heap
        for node in heap.embedded:
            if node in self.excess:
                held = sorted(
                    heap.number.get(id(value), 0) for value in [*heap.objects[node].values()]
                )
                wanted.setdefault(tuple(held), []).append(node)
        if not wanted:
            return
        for owner, values in self._attributes({*map(len, wanted)}):
            dicts = wanted.get(values)
            if dicts:
                namespace = dicts.pop()
                heap.namespaces.append(namespace)
                self._name_attributes(owner, namespace)
                self.add(owner, namespace, EdgeKind.INTERNAL, "__dict__")

    def _attributes(self, counts: set[int]) -> Iterable[tuple[int, tuple[int, ...]]]:
        """Yield the instances with any of these numbers of inline values, and their values."""
        heap = self._heap
        inline = {
            heap.number[id(cls)]
            for cls in map(heap.objects.__getitem__, heap.types)
            if has_inline_values(cls)
        }
        number, starts, targets = heap.number, heap.starts, heap.targets
        for node, obj in enumerate(heap.objects):
            cls = number.get(id(type(obj)), 0)
            if cls in inline and starts[node + 1] - starts[node] - 1 in counts:
                values = [*targets[starts[node] : starts[node + 1]]]
                if cls in values:
                    values.remove(cls)
                yield node, tuple(sorted(values))

    def _name_attributes(self, owner: int, namespace: int) -> None:
        """Name the attributes of an instance that only its dict names."""
        heap = self._heap
        names: dict[int, list[str]] = {}
        for name, value in reversed([*heap.objects[namespace].items()]):
            if type(name) is str:
                names.setdefault(heap.number.get(id(value), 0), []).append(name)
        known = heap.labels[heap.starts[owner] : heap.starts[owner + 1]]
        for edge in range(heap.starts[owner], heap.starts[owner + 1]):
            left = names.get(heap.targets[edge])
            if left and heap.labels[edge] == _UNNAMED:
                name = next((n for n in left if self._attribute(n) not in known), None)
                if name is not None:
                    left.remove(name)
                    heap.labels[edge] = self._attribute(name)

    def _attribute(self, name: str) -> int:
        return label(EdgeKind.ATTRIBUTE, self._strings[name])

    def running_frames(self, frames: list[RunningFrame]) -> None:
        """Add the edges of running frames that traversal skips (3.11 and later).

        A frame refers to its code, its function and its variables. Variables that inner functions
        use are in cells. The code and function of a generator's frame are edges of the generator.
        """
        functions, cells = self._unexplained_functions(), self._unexplained_cells()
        for running in frames:
            frame = running.frame
            source = self._heap.number[id(frame)]
            code = frame.f_code
            if not code.co_flags & IS_GENERATOR:
                self._add_if_known(source, code, EdgeKind.INTERNAL, "f_code")
                for node in functions.get(id(code), ()):
                    if _globals_of(self._heap.objects[node]) is frame.f_globals:
                        self.add(source, node, EdgeKind.INTERNAL, "f_func")
                        functions[id(code)].remove(node)
                        break
            self._variables(source, frame, cells)

    def library_references(self, edges: Iterable[tuple[int, int]]) -> None:
        """Add references of libraries to objects whose memory they use.

        A library has one such reference to an object, however many of its own objects lead there.
        """
        explained = set()
        for source, target in edges:
            if target in explained:
                edge = label(EdgeKind.INTERNAL, self._strings["buffer"])
                self.edges.setdefault(source, []).append((target, edge))
            else:
                self.add(source, target, EdgeKind.INTERNAL, "buffer")
                explained.add(target)

    def _variables(self, source: int, frame: FrameType, cells: dict[int, list[int]]) -> None:
        code = frame.f_code
        if not code.co_flags & _OPTIMIZED:
            # The variables of a module body are its globals, with a second reference in the frame.
            if code.co_name == "<module>" and self._has_excess(frame.f_globals):
                self._add_if_known(source, frame.f_globals, EdgeKind.INTERNAL, "f_locals")
            return
        names = variable_names(code)
        for name, value in (bound_variables(frame, names) or {}).items():
            place = names.index(name)
            is_argument = place < code.co_argcount + code.co_kwonlyargcount + 2
            may_be_cell = place >= code.co_nlocals or (is_argument and not self._has_excess(value))
            in_cell = cells.get(id(value), []) if may_be_cell else []
            if in_cell:
                self.add(source, in_cell.pop(0), EdgeKind.LOCAL, name)
            elif place < code.co_nlocals:
                self._add_if_known(source, value, EdgeKind.LOCAL, name)

    def _has_excess(self, obj: Any) -> bool:
        return self._heap.number.get(id(obj), 0) in self.excess

    def _add_if_known(self, source: int, target: Any, kind: EdgeKind, name: str) -> None:
        node = self._heap.number.get(id(target), 0)
        if node:
            self.add(source, node, kind, name)

    def _unexplained_functions(self) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {}
        for node in self.nodes_with_excess(FunctionType):
            code = function_code(self._heap.objects[node])
            found.setdefault(id(code), []).append(node)
        return found

    def _unexplained_cells(self) -> dict[int, list[int]]:
        """Return the cells with unexplained references, by the id of their contents."""
        found: dict[int, list[int]] = {}
        for node in self.nodes_with_excess(CellType):
            try:
                contents = _cell_contents(self._heap.objects[node])
            except ValueError:
                continue
            found.setdefault(id(contents), []).append(node)
        return found


def _common_base(subclasses: dict[Any, Any]) -> type | None:
    """Return the class whose dict of subclasses this is, or None if that is uncertain."""
    entries = [*subclasses.items()]
    common: dict[int, type] | None = None
    for key, reference in entries:
        if type(key) is not int or type(reference) is not ReferenceType:
            return None
        cls = ReferenceType.__call__(reference)
        if cls is None:
            continue
        if not is_class(cls) or id(cls) != key:
            return None
        bases = {id(base): base for base in _bases(cls)}
        common = bases if common is None else {b: bases[b] for b in common if b in bases}
    if not common:
        return None
    for base in common.values():
        if len(common) == 1 or len(type.__subclasses__(base)) == len(entries):
            return base
    return None
