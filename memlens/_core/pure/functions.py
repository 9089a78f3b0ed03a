"""The references of functions, code objects, frames and ``lru_cache`` wrappers.

Traversal yields the fields of a function in a fixed order (3.11 to 3.13) without the empty ones:
code, globals, builtins, module, defaults, kwdefaults, doc, name, ``__dict__``, closure, annotations,
type parameters (3.12) and the qualified name. ``__dict__`` and ``__annotations__`` are found by
position, because their getters create a dict that stays.
"""

from __future__ import annotations

import gc
import operator
from array import array
from collections.abc import Callable
from types import AsyncGeneratorType, CoroutineType, FunctionType, GeneratorType
from typing import Any

from memlens._core.layout import EdgeKind
from memlens._core.pure.access import class_name, function_code, is_class
from memlens._core.pure.containers import Expansion, Namespaces
from memlens._core.pure.instances import InstanceLabels
from memlens._core.pure.labels import EMPTY, KeyLabels, NameLabels, label
from memlens._core.pure.suspended_frames import frame_items, generator_items

__all__ = (
    "CODE_OF",
    "cache_plan",
    "cell_plan",
    "code_plan",
    "frame_plan",
    "function_plan",
    "has_cache_dict",
)

_BEFORE_DICT = (
    *("__code__", "__globals__", "__builtins__", "__module__"),
    *("__defaults__", "__kwdefaults__", "__doc__", "__name__"),
)
_AT_THE_END: list[tuple[str, Callable[[Any], Any]]] = [
    (name, operator.attrgetter(name))
    for name in ("__qualname__", "__type_params__")
    if name in FunctionType.__dict__
]
_fields = FunctionType.__dict__
_get_before = operator.attrgetter(*_BEFORE_DICT)
_get_globals = operator.attrgetter("__globals__")
_get_closure = operator.attrgetter("__closure__")
_get_attribute = object.__getattribute__


def function_plan(
    internal: NameLabels, namespaces: Namespaces, closures: dict[int, Any]
) -> Callable[[Any], Expansion]:
    """Return the plan of functions, which records closures and their code."""
    before = [internal[name] for name in _BEFORE_DICT]

    def expand(obj: Any) -> Expansion:
        targets = gc.get_referents(obj)
        labels = array("I")
        if function_code(obj) is None:
            return targets, array("I", [label(EdgeKind.INTERNAL)]) * len(targets)
        for value, name in zip(_get_before(obj), before):
            if len(labels) < len(targets) and targets[len(labels)] is value:
                labels.append(name)
        variables = _get_globals(obj)
        if type(variables) is dict:
            namespaces.claimed.add(id(variables))  # of no module where code was run by exec
        closure = _get_closure(obj)
        if closure is not None:
            closures[id(closure)] = obj.__code__
        rest = targets[len(labels) :]
        labels.extend(_after_name(obj, rest, closure, internal, namespaces))
        return targets, labels

    return expand


def _after_name(
    function: Any, rest: list[Any], closure: Any, internal: NameLabels, namespaces: Namespaces
) -> list[int]:
    """Return the labels of the referents after the name of a function."""
    labels = [label(EdgeKind.INTERNAL)] * len(rest)
    end = len(rest)
    for name, get in _AT_THE_END:
        if end and rest[end - 1] is get(function):
            end -= 1
            labels[end] = internal[name]
    place = 0
    if end and type(rest[0]) is dict and _is_function_dict(function, rest[:end], closure):
        namespaces.claimed.add(id(rest[0]))
        labels[0] = internal["__dict__"]
        place = 1
    if place < end and rest[place] is closure:
        labels[place] = internal["__closure__"]
        place += 1
    if place < end and type(rest[place]) in (dict, tuple):
        labels[place] = internal["__annotations__"]
    return labels


def _is_function_dict(function: Any, rest: list[Any], closure: Any) -> bool:
    """Return whether ``rest[0]`` is the ``__dict__`` of a function, not its annotations."""
    if len(rest) > 1:
        return rest[1] is closure or type(rest[1]) in (dict, tuple)
    for name, value in [*rest[0].items()][:1]:
        if type(name) is not str or name in _fields or name in object.__dict__:
            return False
        try:
            return _get_attribute(function, name) is value
        except AttributeError:
            return False
    return True


def cache_plan(
    internal: NameLabels, keys: KeyLabels, namespaces: Namespaces
) -> Callable[[Any], Expansion]:
    """Return the plan of ``functools.lru_cache`` wrappers.

    Traversal yields the class, then key, result and link class of each entry of a bounded cache,
    then the fields. It skips the links, to which the wrapper and its dict refer.
    """
    item = label(EdgeKind.ITEM)

    def expand(obj: Any) -> Expansion:
        targets = gc.get_referents(obj)
        if not has_cache_dict(targets):  # the collector is clearing it
            return targets, array("I", [label(EdgeKind.INTERNAL)]) * len(targets)
        labels = array("I", [internal["__class__"]])
        while len(labels) + 2 < len(targets) and _is_link_class(targets[len(labels) + 2]):
            key_label = keys.of(targets[len(labels)])
            labels.extend((item, key_label, internal["__class__"]))
        names = [*_CACHE_FIELDS[: len(targets) - len(labels)]]
        last = targets[-1]
        if len(names) == len(_CACHE_FIELDS) and type(last) is dict:
            namespaces.claimed.add(id(last))
        cache = targets[len(labels)] if len(labels) < len(targets) else None
        labels.extend(map(internal.__getitem__, names))
        labels.extend([label(EdgeKind.INTERNAL)] * (len(targets) - len(labels)))
        if type(cache) is dict:
            links = [link for link in [*cache.values()] if _is_link_class(type(link))]
            targets += links
            labels.extend([internal["link"]] * len(links))
        return targets, labels

    return expand


def has_cache_dict(referents: list[Any]) -> bool:
    """Return whether an ``lru_cache`` wrapper, given its referents, still has its dict."""
    place = 1
    while place + 2 < len(referents) and _is_link_class(referents[place + 2]):
        place += 3
    return place < len(referents) and type(referents[place]) is dict


_CACHE_FIELDS = ("cache", "__wrapped__", "", "", "", "__dict__")


def _is_link_class(obj: Any) -> bool:
    return is_class(obj) and class_name(obj) == "functools._lru_list_elem"


# The fields of code objects. The other getters create new objects.
_CODE_FIELDS = (
    *("co_consts", "co_names", "co_filename", "co_name", "co_linetable"),
    *("co_qualname", "co_exceptiontable"),
)
# The getter of the code object by the id of a generator type.
CODE_OF = {
    id(GeneratorType): GeneratorType.__dict__["gi_code"].__get__,
    id(CoroutineType): CoroutineType.__dict__["cr_code"].__get__,
    id(AsyncGeneratorType): AsyncGeneratorType.__dict__["ag_code"].__get__,
}


def code_plan(internal: NameLabels, mentions: set[int]) -> Callable[[Any], Expansion]:
    """Return the plan of code objects, which have no traversal, and record ``co_names``."""
    get = operator.attrgetter(*_CODE_FIELDS)
    labels = array("I", map(internal.__getitem__, _CODE_FIELDS))
    place = _CODE_FIELDS.index("co_names")

    def expand(obj: Any) -> Expansion:
        fields = [*get(obj)]
        mentions.add(id(fields[place]))
        return fields, labels

    return expand


def cell_plan(internal: NameLabels) -> Callable[[Any], Expansion]:
    """Return the plan of the cells of closures."""
    labels = array("I", [internal["cell_contents"]])

    def expand(obj: Any) -> Expansion:
        targets = gc.get_referents(obj)
        return targets, labels if targets else EMPTY

    return expand


def frame_plan(cls: type, names: InstanceLabels, local: NameLabels) -> Callable[[Any], Expansion]:
    """Return the plan of frames or of one kind of generator: fields first, then variables."""
    get_code = CODE_OF.get(id(cls))

    def expand(obj: Any) -> Expansion:
        targets = gc.get_referents(obj)
        if get_code is None:
            start, variables = frame_items(targets, obj)
        else:
            start, variables = generator_items(targets, get_code(obj))
        labels, _ = names.label(obj, targets[:start])
        return targets, labels + array("I", map(local.__getitem__, variables))

    return expand
