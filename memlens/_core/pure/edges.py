"""Plans: for each type, a function that returns the references of an object and their labels.

A plan returns two parallel sequences: the targets of strong references, and the labels. References
that the collector's traversal skips are added (keys of dicts, constants of code objects, fields of
static types, elements of numpy arrays), so that each reference of an object is an edge exactly once.
"""

from __future__ import annotations

import gc
import operator
import sys
from array import array
from collections import OrderedDict, deque
from collections.abc import Callable
from functools import _lru_cache_wrapper
from types import (
    CellType,
    CodeType,
    FrameType,
    FunctionType,
    MemberDescriptorType,
    ModuleType,
)
from typing import Any, TypeAlias
from weakref import ref

from memlens._core.layout import EdgeKind
from memlens._core.pure.access import (
    HEAP_TYPE,
    READY,
    TRAVERSED,
    class_flags,
    class_mro,
    class_name,
    class_namespace,
    module_namespace,
)
from memlens._core.pure.containers import (
    FROZEN_DICT,
    Expansion,
    Namespaces,
    deque_items,
    frozenset_items,
    list_items,
    list_subclass_items,
    ordered_items,
    set_items,
    tuple_items,
    tuple_subclass_items,
)
from memlens._core.pure.functions import (
    CODE_OF,
    cache_plan,
    cell_plan,
    code_plan,
    frame_plan,
    function_plan,
)
from memlens._core.pure.instances import InstanceLabels
from memlens._core.pure.labels import EMPTY, KeyLabels, NameLabels, StringTable, label
from memlens._core.pure.untraversed import hidden_plan

__all__ = ("Expand", "Plans")

Expand: TypeAlias = "Callable[[Any], Expansion]"

_SHOWS_FREED_OBJECTS = sys.version_info[:2] == (3, 12)
_referents = gc.get_referents
_bases = type.__dict__["__bases__"].__get__
_base = type.__dict__["__base__"].__get__
_mro = type.__dict__["__mro__"].__get__
_ATOMS = frozenset(
    map(
        id,
        (
            *(str, int, float, complex, bool, bytes, bytearray, object),
            *(type(None), type(NotImplemented), type(...)),
        ),
    )
)
_ONLY_VALUES = frozenset(map(id, (int, float, bool, type(None))))


class Plans:
    """The plans of one capture, and what they record in addition to edges."""

    def __init__(self, strings: StringTable, *, values: bool) -> None:
        self.attribute = NameLabels(EdgeKind.ATTRIBUTE, strings)
        self.internal = NameLabels(EdgeKind.INTERNAL, strings)
        self.local = NameLabels(EdgeKind.LOCAL, strings)
        self.cell = NameLabels(EdgeKind.CELL, strings)
        self.keys = KeyLabels(strings, values=values)
        self.namespaces = Namespaces(self.attribute, self.keys)
        self.mentions: set[int] = set()  # ids of the tuples of names that code uses
        self.closures: dict[int, Any] = {}  # id of a closure's tuple -> the code that names it
        self.weak: list[tuple[Any, Any]] = []  # weak references and their targets
        expand_dict = self.namespaces.expand
        self._contents: dict[int, Expand] = {
            id(list): list_subclass_items,
            id(tuple): tuple_subclass_items,
            id(dict): expand_dict,
            id(OrderedDict): ordered_items(expand_dict),
            id(set): set_items,
            id(frozenset): frozenset_items,
            id(deque): deque_items,
            id(type): self._expand_class,
            id(ref): self._note_weak,
        }
        self._exact: dict[int, Expand] = {
            id(list): list_items,
            id(tuple): tuple_items,
            id(dict): expand_dict,
            id(set): set_items,
            id(frozenset): frozenset_items,
            id(FunctionType): function_plan(self.internal, self.namespaces, self.closures),
            id(_lru_cache_wrapper): cache_plan(self.internal, self.keys, self.namespaces),
            id(CodeType): code_plan(self.internal, self.mentions),
            id(CellType): cell_plan(self.internal),
            id(ModuleType): self._expand_module,
        }
        if FROZEN_DICT is not None:
            expand_frozen = self.namespaces.expand_frozen
            self._contents[id(FROZEN_DICT)] = self._exact[id(FROZEN_DICT)] = expand_frozen

    def plan(self, cls: type) -> Expand | None:
        """Return the plan for the instances of ``cls``; None if they have no references."""
        if id(cls) in _ATOMS:
            return None
        exact = self._exact.get(id(cls))
        if exact is not None:
            return exact
        content = hidden_plan(cls, self.internal)
        for base in class_mro(cls):
            content = content or self._contents.get(id(base))
        if id(cls) in CODE_OF or cls is FrameType:
            names = InstanceLabels(cls, self.attribute, self.internal)
            return frame_plan(cls, names, self.local)
        if class_flags(cls) & TRAVERSED:
            return self._object_plan(cls, content)
        return content or self._untraversed_plan(cls)

    def clear(self) -> None:
        """Release all objects and classes, which breaks the cycle between this object and the plans."""
        self._contents.clear()
        self._exact.clear()
        self.weak.clear()
        self.closures.clear()
        self.mentions.clear()
        self.namespaces.clear()

    def _object_plan(self, cls: type, content: Expand | None) -> Expand:
        """Return a plan that completes the traversal of an object."""
        names = InstanceLabels(cls, self.attribute, self.internal)
        layouts, is_same = names.layouts, operator.is_
        complete = self._completion(cls, names)
        only_dict, claim = names.only_dict, self.namespaces.claimed.add

        def expand_plain(obj: Any) -> Expansion:
            targets = _referents(obj)
            if only_dict and len(targets) == 2 and type(targets[0]) is dict and targets[1] is cls:
                claim(id(targets[0]))
                return targets, names.dict_alone
            for getter, labels in layouts.get(len(targets), ()):
                try:
                    if all(map(is_same, getter(obj), targets)):
                        return targets, labels
                except AttributeError:
                    continue
            return complete(obj, targets)

        def expand_with_content(obj: Any) -> Expansion:
            targets, labels = content(obj)  # type: ignore[misc]  # only used where there is one
            rest, rest_labels = complete(obj, _without(_referents(obj), targets))
            return targets + rest, labels + rest_labels

        return expand_with_content if content else expand_plain

    def _completion(
        self, cls: type, names: InstanceLabels
    ) -> Callable[[Any, list[Any]], Expansion]:
        """Return a function that labels referents and adds the class if traversal skips it."""
        claim = self.namespaces.claimed.add
        class_label = array("I", [self.internal["__class__"]])
        is_heap_type = bool(class_flags(cls) & HEAP_TYPE)

        def complete(obj: Any, referents: list[Any]) -> Expansion:
            labels, own_dict = names.label(obj, referents)
            if own_dict is not None:
                claim(id(own_dict))
            # An instance refers to its class if that is a heap type, even if traversal skips it.
            if is_heap_type and not any(target is cls for target in reversed(referents)):
                return [*referents, cls], labels + class_label
            return referents, labels

        return complete

    def _untraversed_plan(self, cls: type) -> Expand | None:
        """Return a plan for types without traversal: their C members that refer to objects."""
        if class_name(cls) == "functools._lru_list_elem":
            return None  # the plan of the cache includes the references of its links
        getters = [
            (self.internal[name], descriptor.__get__)
            for base in class_mro(cls)
            for name, descriptor in [*class_namespace(base).items()]
            if type(descriptor) is MemberDescriptorType and type(name) is str
        ]
        is_heap_type = bool(class_flags(cls) & HEAP_TYPE)
        class_label = self.internal["__class__"]
        if not getters and not is_heap_type:
            return None

        def expand(obj: Any) -> Expansion:
            targets: list[Any] = [cls] if is_heap_type else []
            labels = array("I", [class_label] if is_heap_type else [])
            for field_label, get in getters:
                value = get(obj)
                # A value that is created on each access is not referred to by the object. Numbers
                # may be C fields.
                if id(type(value)) not in _ONLY_VALUES and value is get(obj):
                    targets.append(value)
                    labels.append(field_label)
            return targets, labels

        return expand

    def _note_weak(self, obj: Any) -> Expansion:
        target = ref.__call__(obj)
        if target is not None:
            self.weak.append((obj, target))
        return [], EMPTY

    def _expand_module(self, obj: Any) -> Expansion:
        namespace = module_namespace(obj)
        if _SHOWS_FREED_OBJECTS and obj is sys.modules.get("_asyncio"):
            # Its traversal includes a list of freed objects, which getting the referents corrupts.
            self.namespaces.claimed.add(id(namespace))
            return [namespace], array("I", [self.internal["__dict__"]])
        targets = _referents(obj)
        labels = array("I", [label(EdgeKind.INTERNAL)]) * len(targets)
        for place, target in enumerate(targets):
            if target is namespace:
                labels[place] = self.internal["__dict__"]
                self.namespaces.claimed.add(id(namespace))
                break
        return targets, labels

    def _expand_class(self, cls: Any) -> Expansion:
        """Return the references that every class has; the plan of instances adds the others."""
        if not class_flags(cls) & READY:
            return [], EMPTY
        namespace = class_namespace(cls)
        self.namespaces.claimed.add(id(namespace))
        parts = {"__dict__": namespace, "__mro__": _mro(cls), "__bases__": _bases(cls)}
        if class_flags(cls) & HEAP_TYPE:  # static types have a borrowed pointer
            parts["__base__"] = _base(cls)
        held = {name: part for name, part in parts.items() if part is not None}
        return [*held.values()], array("I", map(self.internal.__getitem__, held))


def _without(referents: list[Any], explained: list[Any]) -> list[Any]:
    """Return the referents without the explained ones, each removed once."""
    if not explained:
        return referents
    counts: dict[int, int] = {}
    for target in explained:
        counts[id(target)] = counts.get(id(target), 0) + 1
    rest = []
    for target in referents:
        if counts.get(id(target), 0):
            counts[id(target)] -= 1
        else:
            rest.append(target)
    return rest
