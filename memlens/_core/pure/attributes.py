"""Find the names of instance attributes without creating a ``__dict__``.

From CPython 3.11 on, the attributes of an instance are in an array, in the order of the keys that
all instances of the class share. Accessing ``__dict__`` creates a dict that stays, so it is never
accessed. Traversal by the collector yields the values without names. Candidate names come from the
code of the class, which must contain them to set attributes. Each candidate is verified:
``object.__getattribute__(obj, name)`` must return the same object as traversal. A name is not tried
if a class in the MRO binds it to an object that may run Python code.
"""

from __future__ import annotations

import gc
import operator
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain, islice
from types import (
    CellType,
    CodeType,
    FunctionType,
    MemberDescriptorType,
    ModuleType,
)
from typing import Any

from memlens._core.pure.access import (
    class_module,
    class_mro,
    class_namespace,
    has_exact_keys,
    module_namespace,
)

__all__ = ("AttributeNames", "code_names")

_SEARCHED_OBJECTS = 4000  # objects of one class or module to search for names
_FULL_SEARCHES = 24  # searches for one class; after that, only names found before are tried
_HOLDS_CODE = frozenset(
    map(
        id,
        (FunctionType, CodeType, CellType, tuple, property, classmethod, staticmethod, partial),
    )
)
# Types whose ``__get__`` is written in C and calls nothing, so that a lookup runs no Python code.
_HARMLESS = frozenset(map(id, (FunctionType, staticmethod, MemberDescriptorType)))
_get_attribute = object.__getattribute__


def code_names(start: Iterable[Any], limit: int = _SEARCHED_OBJECTS) -> Iterator[str]:
    """Yield the names that functions use, including nested functions and wrapped ones."""
    seen: set[int] = set()
    stack = [obj for obj in start if id(type(obj)) in _HOLDS_CODE]
    stack.reverse()
    while stack and len(seen) < limit:
        obj = stack.pop()
        if id(obj) in seen:
            continue
        seen.add(id(obj))
        if type(obj) is CodeType:
            yield from obj.co_names
            inner: Iterable[Any] = obj.co_consts
        else:
            inner = gc.get_referents(obj)
        stack.extend(part for part in inner if id(type(part)) in _HOLDS_CODE)


class AttributeNames:
    """The known and the candidate attribute names of one class.

    ``usable`` is False if a namespace of the class has keys that are not exact strings. A lookup
    could then call an ``__eq__``, so no name is tried. Without ``guess`` only ``__slots__`` are
    tried, because all other attributes are in a ``__dict__``.
    """

    def __init__(self, cls: type, *, guess: bool) -> None:
        self._cls = cls
        self._guess = guess
        self._namespaces = [class_namespace(base) for base in class_mro(cls)]
        self.usable = all(map(has_exact_keys, self._namespaces))
        self.plain_lookup = self.usable and self._has_plain_lookup()
        self._found: dict[str, bool] = {}
        self._candidates: dict[str, bool] | None = None
        self._searches = 0

    def match(self, obj: Any, wanted: dict[int, int]) -> dict[int, list[str]]:
        """Return attribute names of ``obj`` by the id of their value.

        ``wanted`` has the number of names to find for each id. Names that a class binds too come
        last, because their value may be that of the class.
        """
        found = self._look_up(obj, wanted, self._found)
        if self.usable and self._searches < _FULL_SEARCHES and _is_short(found, wanted):
            self._searches += 1
            candidates = self._all_candidates()
            found = self._look_up(obj, wanted, candidates)
            self._found.update(
                (name, candidates[name]) for names in found.values() for name in names
            )
        return found

    @property
    def exhausted(self) -> bool:
        """Whether only names found before are tried from now on."""
        return self._searches >= _FULL_SEARCHES

    def may_look_up(self, name: str) -> bool:
        """Return whether looking up ``name`` on an instance runs no Python code."""
        return self.usable and self._binding(name) is not None

    def getter(self, names: list[str]) -> Callable[[Any], Iterable[Any]]:
        """Return a function that returns the values of ``names`` or raises AttributeError."""
        if self.plain_lookup and len(names) > 1:
            return operator.attrgetter(*names)
        return lambda obj: [_get_attribute(obj, name) for name in names]

    def _look_up(
        self, obj: Any, wanted: dict[int, int], names: dict[str, bool]
    ) -> dict[int, list[str]]:
        found: dict[int, list[str]] = {}
        in_class: list[tuple[int, str]] = []
        for name, is_bound in names.items():
            try:
                value = _get_attribute(obj, name)
            except AttributeError:
                continue
            if id(value) in wanted:
                if is_bound:
                    in_class.append((id(value), name))
                else:
                    found.setdefault(id(value), []).append(name)
        for value_id, name in in_class:
            found.setdefault(value_id, []).append(name)
        return found

    def _has_plain_lookup(self) -> bool:
        for namespace in self._namespaces:
            if "__getattr__" in namespace:
                return False
            if "__getattribute__" in namespace:
                return namespace["__getattribute__"] is object.__dict__["__getattribute__"]
        return False

    def _all_candidates(self) -> dict[str, bool]:
        """Return the candidate names, each with whether a class binds it to a plain value."""
        if self._candidates is None:
            names = dict.fromkeys(chain.from_iterable(map(_slots, self._namespaces)))
            if self._guess:
                for namespace in self._namespaces:
                    names.update(dict.fromkeys(code_names([*namespace.values()])))
                    names.update(dict.fromkeys(_annotated(namespace)))
                names.update(dict.fromkeys(_module_names(self._cls)))
            bindings = {name: self._binding(name) for name in names}
            self._candidates = {
                name: bound for name, bound in bindings.items() if bound is not None
            }
        return self._candidates

    def _binding(self, name: str) -> bool | None:
        """Return whether a class binds ``name``; None if a lookup might run code."""
        for namespace in self._namespaces:
            if name in namespace:
                kind = type(namespace[name])
                if kind is MemberDescriptorType:
                    return False
                return True if id(kind) in _HARMLESS or not _is_descriptor(kind) else None
        return False


def _is_short(found: dict[int, list[str]], wanted: dict[int, int]) -> bool:
    return any(len(found.get(value, ())) < count for value, count in wanted.items())


def _slots(namespace: dict[str, Any]) -> list[str]:
    """Return the attributes of ``__slots__``; other members are fields of C types."""
    if "__slots__" not in namespace:
        return []
    return [name for name, value in [*namespace.items()] if type(value) is MemberDescriptorType]


def _annotated(namespace: dict[str, Any]) -> list[str]:
    """Return the annotated names of a class, unless they are not evaluated yet."""
    annotations = namespace.get("__annotations__")
    return [*annotations] if type(annotations) is dict and has_exact_keys(annotations) else []


def _is_descriptor(kind: type) -> bool:
    for base in class_mro(kind):
        namespace = class_namespace(base)
        if not has_exact_keys(namespace):
            return True
        if "__get__" in namespace or "__set__" in namespace or "__delete__" in namespace:
            return True
    return False


def _module_names(cls: type) -> list[str]:
    """Return the names used in the module of a class: factory functions set attributes too."""
    module = sys.modules.get(class_module(cls))
    if type(module) is not ModuleType:
        return []
    namespace = module_namespace(module)
    return [*islice(code_names([*namespace.values()]), _SEARCHED_OBJECTS)]
