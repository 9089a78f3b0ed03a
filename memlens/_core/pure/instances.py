"""Labels for the referents of instances and other objects with fields.

Traversal yields referents without names. Names come from accessors that run no Python code: the
names of attributes (`memlens._core.pure.attributes`) and the descriptors of C fields. A referent
gets a name if an accessor returns the same object; otherwise its name is empty.
"""

from __future__ import annotations

import operator
from array import array
from collections.abc import Callable, Iterable
from types import GetSetDescriptorType, MemberDescriptorType
from typing import Any, TypeAlias

from memlens._core.layout import EdgeKind
from memlens._core.pure.access import (
    FOREIGN_ERRORS,
    class_mro,
    class_name,
    class_namespace,
    has_exact_keys,
    has_inline_values,
)
from memlens._core.pure.attributes import AttributeNames
from memlens._core.pure.containers import is_split
from memlens._core.pure.labels import NameLabels, label

__all__ = ("InstanceLabels", "c_fields")

Accessor: TypeAlias = "Callable[[Any], Any]"
Getter: TypeAlias = "Callable[[Any], Iterable[Any]]"

_LAYOUTS = 4  # kept for one class and one number of referents
_UNNAMED = label(EdgeKind.INTERNAL)
_dict_offset = type.__dict__["__dictoffset__"].__get__
_get_attribute = object.__getattribute__

# Getters of C types that only return the value of a field. Others are not used: some create objects
# that stay (``__dict__``, ``__annotations__``, ``gi_frame``), and some run Python code
# (``property.__name__`` calls the function).
_PLAIN_GETTERS: dict[str, tuple[str, ...]] = {
    "function": ("__code__", "__defaults__", "__kwdefaults__", "__name__", "__qualname__"),
    "builtin_function_or_method": ("__self__",),
    "BaseException": ("args", "__traceback__", "__context__", "__cause__"),
    "traceback": ("tb_next",),
    "generator": ("__name__", "__qualname__", "gi_yieldfrom", "gi_code"),
    "coroutine": ("__name__", "__qualname__", "cr_await", "cr_code"),
    "async_generator": ("__name__", "__qualname__", "ag_await", "ag_code"),
    "weakref.ReferenceType": ("__callback__",),
    "_asyncio.Future": (
        *("_loop", "_result", "_exception", "_source_traceback", "_cancel_message"),
    ),
    "_asyncio.Task": (
        *("_loop", "_result", "_exception", "_source_traceback", "_cancel_message"),
        *("_coro", "_fut_waiter"),
    ),
}


def c_fields(cls: type) -> dict[str, Accessor]:
    """Return the accessors of the object fields that the C types among ``cls``'s bases define.

    A class with ``__slots__`` is not among them: its members are attributes.
    """
    found: dict[str, Accessor] = {}
    for base in class_mro(cls):
        namespace = class_namespace(base)
        if not has_exact_keys(namespace) or "__slots__" in namespace:
            continue
        plain_getters = _PLAIN_GETTERS.get(class_name(base), ())
        for name, descriptor in [*namespace.items()]:
            kind = type(descriptor)
            if name not in found and (
                kind is MemberDescriptorType
                or (kind is GetSetDescriptorType and name in plain_getters)
            ):
                found[name] = descriptor.__get__
    return found


class InstanceLabels:
    """Labels the referents of the instances of one class and caches what it finds.

    Most instances of a class have the same layout. ``layouts`` has, by the number of referents, a
    getter of attribute values, and the labels to use if it returns exactly the referents.
    ``dict_alone`` has the labels of a ``__dict__`` and the class; ``only_dict`` is true if two
    referents can only be these.
    """

    def __init__(self, cls: type, attribute: NameLabels, internal: NameLabels) -> None:
        self._cls = cls
        self._attribute = attribute
        self._fields = [(internal[name], get) for name, get in c_fields(cls).items()]
        self._class_label = internal["__class__"]
        self._dict_label = internal["__dict__"]
        self._may_be_inline = has_inline_values(cls)
        self._has_dict = bool(_dict_offset(cls))
        self.only_dict = self._has_dict and not self._may_be_inline
        self._names = AttributeNames(cls, guess=self._may_be_inline)
        self.layouts: dict[int, list[tuple[Getter, array[int]]]] = {}
        self._checks: dict[int, list[tuple[list[tuple[int, Accessor]], array[int]]]] = {}
        self.dict_alone = array("I", [self._dict_label, self._class_label])

    def label(self, obj: Any, referents: list[Any]) -> tuple[array[int], dict[Any, Any] | None]:
        """Return the labels of ``referents``, and the referent that is the ``__dict__`` or None."""
        if len(referents) == 2 and referents[1] is self._cls and self._has_dict:
            if self._is_own_dict(obj, referents[0]):
                return self.dict_alone, referents[0]
        for getter, labels in self.layouts.get(len(referents), ()):
            try:
                if all(map(operator.is_, getter(obj), referents)):
                    return labels, None
            except AttributeError:
                continue
        for checks, labels in self._checks.get(len(referents), ()):
            try:
                if all([get(obj) is referents[place] for place, get in checks]):
                    return labels, None
            except FOREIGN_ERRORS:
                continue
        return self._search(obj, referents)

    def _search(self, obj: Any, referents: list[Any]) -> tuple[array[int], dict[Any, Any] | None]:
        labels: list[int | None] = [None] * len(referents)
        places: dict[int, list[int]] = {}
        for place in range(len(referents) - 1, -1, -1):
            places.setdefault(id(referents[place]), []).append(place)
        own = places.get(id(self._cls))
        if own:
            labels[own.pop(0)] = self._class_label
        names = self._match_names(obj, places)
        for place, name in names.items():
            labels[place] = self._attribute[name]
        fields = self._match_fields(obj, places, labels)
        own_dict = self._match_dict(obj, referents, labels)
        made = array("I", [_UNNAMED if found is None else found for found in labels])
        if own_dict is None:
            self._learn(names, fields, made)
        return made, own_dict

    def _match_names(self, obj: Any, places: dict[int, list[int]]) -> dict[int, str]:
        names: dict[int, str] = {}
        wanted = {value: len(free) for value, free in places.items() if free}
        for value, found in self._names.match(obj, wanted).items():
            for name in found[: wanted[value]]:
                names[places[value].pop()] = name
        return names

    def _match_fields(
        self, obj: Any, places: dict[int, list[int]], labels: list[int | None]
    ) -> list[tuple[int, Accessor]]:
        found = []
        for field_label, get in self._fields:
            try:
                value = get(obj)
            except FOREIGN_ERRORS:  # an empty field, or one borrowed from another type
                continue
            free = places.get(id(value))
            if free:
                labels[free[-1]] = field_label
                found.append((free.pop(), get))
        return found

    def _match_dict(
        self, obj: Any, referents: list[Any], labels: list[int | None]
    ) -> dict[Any, Any] | None:
        if self._has_dict:
            for place, referent in enumerate(referents):
                if labels[place] is None and self._is_own_dict(obj, referent):
                    labels[place] = self._dict_label
                    return referent  # type: ignore[no-any-return]  # _is_own_dict checks the type
        return None

    def _is_own_dict(self, obj: Any, referent: Any) -> bool:
        """Return whether a referent is the ``__dict__`` of an instance.

        For classes with a pointer to a dict, any dict that is not in a slot is the
        ``__dict__``. If values may be inline, the dict could be the value of an attribute with an
        unknown name. Then it is the ``__dict__`` if it shares the keys of the class, or if looking
        up its first key on the instance returns its first value.
        """
        if type(referent) is not dict:
            return False
        if not self._may_be_inline or is_split(referent):
            return True
        for name, value in [*referent.items()][:3]:
            if type(name) is not str or not self._names.may_look_up(name):
                continue
            try:
                return _get_attribute(obj, name) is value
            except AttributeError:
                return False
        return False

    def _learn(
        self, names: dict[int, str], fields: list[tuple[int, Accessor]], labels: array[int]
    ) -> None:
        """Cache the labels with the checks that show whether they fit another instance.

        If some values have no name after many searches, the checks of the others suffice.
        """
        places = [*range(len(labels) - 1)]
        at_the_end = bool(labels) and labels[-1] == self._class_label
        if places and at_the_end and [*sorted(names)] == places:
            known = self.layouts.setdefault(len(labels), [])
            if len(known) < _LAYOUTS:
                known.append((self._names.getter([names[place] for place in places]), labels))
        elif (at_the_end and not fields and self._names.exhausted) or _UNNAMED not in labels:
            checks = [*fields, *((place, _attribute_getter(name)) for place, name in names.items())]
            checked = self._checks.setdefault(len(labels), [])
            if len(checked) < _LAYOUTS:
                checked.append((checks, labels))


def _attribute_getter(name: str) -> Accessor:
    return lambda obj: _get_attribute(obj, name)
