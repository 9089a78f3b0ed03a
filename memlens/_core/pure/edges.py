"""What an object refers to, and what each reference is called: one plan for each type.

A plan is a function from an object to its strong references and their labels, in step. What the
collector's traversal shows is completed by what it hides (keys of dicts, constants of code objects,
what static types hold, elements of numpy arrays), so that an object's edges are the references it
holds, each once.
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
from memlens._core.pure.arrays import hidden_plan
from memlens._core.pure.containers import (
    Expansion,
    Namespaces,
    deque_items,
    frozenset_items,
    list_items,
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
    """The plans of one capture, and what they note beside the edges."""

    def __init__(self, strings: StringTable, *, values: bool) -> None:
        self.attribute = NameLabels(EdgeKind.ATTRIBUTE, strings)
        self.internal = NameLabels(EdgeKind.INTERNAL, strings)
        self.local = NameLabels(EdgeKind.LOCAL, strings)
        self.cell = NameLabels(EdgeKind.CELL, strings)
        self.keys = KeyLabels(strings, values=values)
        self.namespaces = Namespaces(self.attribute, self.keys)
        self.mentions: set[int] = set()  # ids of the tuples of names that code uses
        self.closures: dict[int, Any] = {}  # id of a closure's tuple -> the code that names it
        self.weak: list[tuple[Any, Any]] = []  # a weak reference, what it refers to
        expand_dict = self.namespaces.expand
        self._contents: dict[int, Expand] = {
            id(list): list_items,
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

    def plan(self, cls: type) -> Expand | None:
        """Return the plan for the instances of ``cls``; None where they refer to nothing."""
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
        """Let go of all objects and classes; the plans refer back here, a cycle."""
        self._contents.clear()
        self._exact.clear()
        self.weak.clear()
        self.closures.clear()
        self.mentions.clear()
        self.namespaces.clear()

    def _object_plan(self, cls: type, content: Expand | None) -> Expand:
        """Return a plan that completes what traversal shows of an object."""
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
        """Return a function that labels referents, and adds the class where it is not shown."""
        claim = self.namespaces.claimed.add
        class_label = array("I", [self.internal["__class__"]])
        is_heap_type = bool(class_flags(cls) & HEAP_TYPE)

        def complete(obj: Any, referents: list[Any]) -> Expansion:
            labels, own_dict = names.label(obj, referents)
            if own_dict is not None:
                claim(id(own_dict))
            # An instance holds its class if that was made at run time, shown or not.
            if is_heap_type and not any(one is cls for one in reversed(referents)):
                return [*referents, cls], labels + class_label
            return referents, labels

        return complete

    def _untraversed_plan(self, cls: type) -> Expand | None:
        """Return a plan for what the collector does not look into: C members that hold objects."""
        if class_name(cls) == "functools._lru_list_elem":
            return None  # the cache shows what its links hold, the class included
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
                # What is made anew at each look is not held; numbers may be C fields.
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
            # Asking for the referents of this one corrupts the list of freed objects among them.
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
        """Return what every class holds; the instance plan adds what traversal shows beyond."""
        if not class_flags(cls) & READY:
            return [], EMPTY
        namespace = class_namespace(cls)
        self.namespaces.claimed.add(id(namespace))
        parts = {"__dict__": namespace, "__mro__": _mro(cls), "__bases__": _bases(cls)}
        if class_flags(cls) & HEAP_TYPE:  # the others were given a pointer, not a reference
            parts["__base__"] = _base(cls)
        held = {name: part for name, part in parts.items() if part is not None}
        return [*held.values()], array("I", map(self.internal.__getitem__, held))


def _without(referents: list[Any], explained: list[Any]) -> list[Any]:
    """Return the referents that are left when each explained one is taken out once."""
    if not explained:
        return referents
    counts: dict[int, int] = {}
    for one in explained:
        counts[id(one)] = counts.get(id(one), 0) + 1
    rest = []
    for one in referents:
        if counts.get(id(one), 0):
            counts[id(one)] -= 1
        else:
            rest.append(one)
    return rest
