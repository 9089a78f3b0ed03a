"""References of numpy arrays and dates, which the collector does not traverse.

Neither package is imported here. If the process has them, the fields are read through their C types.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Callable
from types import ModuleType
from typing import Any

from memlens._core.pure.access import class_mro, class_namespace, module_namespace
from memlens._core.pure.containers import Expansion
from memlens._core.pure.labels import NameLabels, index_labels

__all__ = ("find_class", "hidden_plan", "numpy_prefix_reader")

# C types without traversal, and their fields that refer to objects.
_HIDDEN_FIELDS = {
    ("datetime", "datetime"): ("tzinfo",),
    ("datetime", "time"): ("tzinfo",),
}


def hidden_plan(cls: type, internal: NameLabels) -> Callable[[Any], Expansion] | None:
    """Return the plan for the untraversed references of instances of ``cls``, or None."""
    mro = class_mro(cls)
    array_type = find_class("numpy", "ndarray")
    if array_type is not None and any(base is array_type for base in mro):
        return _array_plan(array_type, internal)
    for (module, name), fields in _HIDDEN_FIELDS.items():
        owner = find_class(module, name)
        if owner is not None and any(base is owner for base in mro):
            return _fields_plan(owner, fields, internal)
    return None


def find_class(module_name: str, name: str) -> Any:
    """Return a class of a module that the program has imported, else None."""
    module = sys.modules.get(module_name)
    return module_namespace(module).get(name) if type(module) is ModuleType else None


def _array_plan(array_type: type, internal: NameLabels) -> Callable[[Any], Expansion]:
    """Return the plan of arrays: dtype, base and, for the owner of the data, elements of kind "O".

    The elements come from ``flat``, in C order. Fields of structured arrays are not included.
    """
    namespace = class_namespace(array_type)
    get_dtype, get_base, get_flat = (namespace[f].__get__ for f in ("dtype", "base", "flat"))
    dtype_type = find_class("numpy", "dtype")
    get_code = class_namespace(dtype_type)["char"].__get__

    def expand(obj: Any) -> Expansion:
        dtype, base = get_dtype(obj), get_base(obj)
        targets, labels = [dtype], array("I", [internal["dtype"]])
        if base is not None:
            targets.append(base)
            labels.append(internal["base"])
        elif get_code(dtype) == "O":
            elements = [*get_flat(obj)]
            return targets + elements, labels + index_labels(len(elements))
        return targets, labels

    return expand


def numpy_prefix_reader(
    array_type: type, read: Callable[[Any], bytes | None]
) -> Callable[[Any], bytes | None]:
    """Return a function that reads the beginning of arrays that own numbers in C order."""
    namespace = class_namespace(array_type)
    get_dtype, get_flags = namespace["dtype"].__get__, namespace["flags"].__get__
    get_kind = class_namespace(find_class("numpy", "dtype"))["kind"].__get__

    def prefix(obj: Any) -> bytes | None:
        flags = get_flags(obj)
        is_plain = get_kind(get_dtype(obj)) in "biufc" and flags.c_contiguous and flags.owndata
        return read(obj) if is_plain and obj.ndim else None

    return prefix


def _fields_plan(
    owner: type, fields: tuple[str, ...], internal: NameLabels
) -> Callable[[Any], Expansion]:
    getters = [(internal[name], class_namespace(owner)[name].__get__) for name in fields]

    def expand(obj: Any) -> Expansion:
        found = [(name, get(obj)) for name, get in getters]
        held = [(name, value) for name, value in found if value is not None]
        return [value for _, value in held], array("I", [name for name, _ in held])

    return expand
