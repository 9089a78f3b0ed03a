"""The names of instance attributes, found without materialising any ``__dict__``.

From CPython 3.11 on, the attributes of an instance are an array beside it or inside it, in the order
of the keys that all instances of the class share; a dict is made when somebody asks for
``__dict__``, and stays. So it is never asked for. What the collector's traversal shows of an
instance are the bare values. The names are guessed from the code of the class, which has to spell
them out to set them, and each guess is verified: ``object.__getattribute__(obj, name)`` has to give
the very object that traversal showed. A name is tried only where no class in the MRO binds it to
something that could answer with code of its own.
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

_SEARCHED_OBJECTS = 4000  # of one class or module, when looking for names
_FULL_SEARCHES = 24  # of one class: after so many, only names that were found before are tried
_HOLDS_CODE = frozenset(
    map(
        id,
        (FunctionType, CodeType, CellType, tuple, property, classmethod, staticmethod, partial),
    )
)
# What a lookup on the instance may meet in the class without running code: the ``__get__`` of these
# is written in C and calls nothing.
_HARMLESS = frozenset(map(id, (FunctionType, staticmethod, MemberDescriptorType)))
_get_attribute = object.__getattribute__


def code_names(start: Iterable[Any], limit: int = _SEARCHED_OBJECTS) -> Iterator[str]:
    """Yield the names that functions use, also those inside other functions and wrappers."""
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
    """The attribute names of one class, as far as they are found, and what each gives.

    ``usable`` is False where a class has keys in its namespace that are not plain strings: a lookup
    could then meet an ``__eq__`` of somebody else's, so no name is ever tried. Without ``guess``
    only ``__slots__`` are tried: there are no other attributes outside a ``__dict__``.
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
        """Return the names of the attributes of ``obj`` that are wanted, by the id of their value.

        ``wanted`` says how many names are wanted for each id. Names that a class binds as well come
        last: their value may be the class's.
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
        """Whether only names that were found before are tried any more."""
        return self._searches >= _FULL_SEARCHES

    def may_look_up(self, name: str) -> bool:
        """Tell whether looking ``name`` up on an instance runs no code of anybody's."""
        return self.usable and self._binding(name) is not None

    def getter(self, names: list[str]) -> Callable[[Any], Iterable[Any]]:
        """Return a function that gives the values of ``names``; AttributeError where one is unset."""
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
        """Return the names worth trying: name -> whether a class binds it to a plain value."""
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
        """Return whether a class binds ``name``; None if what it binds might run code."""
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
    """Return the attributes that ``__slots__`` has made; other members are fields of C types."""
    if "__slots__" not in namespace:
        return []
    return [name for name, value in [*namespace.items()] if type(value) is MemberDescriptorType]


def _annotated(namespace: dict[str, Any]) -> list[str]:
    """Return the names that a class annotates, as dataclasses do; only if that is done already."""
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
    """Return the names that the functions of the class's module use: factories set attributes too."""
    module = sys.modules.get(class_module(cls))
    if type(module) is not ModuleType:
        return []
    namespace = module_namespace(module)
    return [*islice(code_names([*namespace.values()]), _SEARCHED_OBJECTS)]
