"""Shallow sizes in bytes, without running a ``__sizeof__`` written in Python.

The size of an object is the result of ``sys.getsizeof`` if ``__sizeof__`` is a C method. A method
written in Python is skipped in favour of the next one in the MRO. The size includes the collector's
header and, from 3.11 on, the two words before an instance with a managed ``__dict__``. An estimate
is added for the array of attribute values, which is outside an instance in 3.11 and 3.12 and at its
end in 3.13.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import MethodDescriptorType, WrapperDescriptorType
from typing import Any

from memlens._core.pure.access import (
    HEAP_TYPE,
    TRAVERSED,
    class_flags,
    class_mro,
    class_namespace,
    has_exact_keys,
)

__all__ = ("Sizer", "header_bytes", "inline_values_bytes", "sizer", "split_dict_bytes")

Sizer = Callable[[Any], int]

_WORD = 8
_GC_HEADER_BYTES = 16
_MAX_SHARED_KEYS = 30  # SHARED_KEYS_MAX_SIZE
_HAS_PRE_HEADER = 1 << 3 | 1 << 4 if sys.version_info >= (3, 12) else 1 << 4
_C_METHODS = (MethodDescriptorType, WrapperDescriptorType)


def sizer(cls: type) -> Sizer:
    """Return the function that computes the size of instances of ``cls``."""
    overridden = False
    for base in class_mro(cls):
        namespace = class_namespace(base)
        if not has_exact_keys(namespace) or "__sizeof__" not in namespace:
            continue
        method = namespace["__sizeof__"]
        if type(method) in _C_METHODS:
            return _from_method(method, header_bytes(cls)) if overridden else sys.getsizeof
        overridden = True
    return _from_method(object.__sizeof__, header_bytes(cls))


def header_bytes(cls: type) -> int:
    """Return the bytes in front of each instance of ``cls``, which ``__sizeof__`` leaves out."""
    flags = class_flags(cls)
    if not flags & TRAVERSED:
        return 0
    pre_header = flags & _HAS_PRE_HEADER and flags & HEAP_TYPE
    return _GC_HEADER_BYTES + (2 * _WORD if pre_header else 0)


def _from_method(method: Any, header_bytes: int) -> Sizer:
    def size(obj: Any) -> int:
        return int(method(obj)) + header_bytes

    return size


def inline_values_bytes(shared_keys: int) -> int:
    """Estimate the size of the inline values of an instance, beyond its ``sys.getsizeof``.

    After some instances the array has one slot more than the class has keys; before, it has up to
    30 slots. The values follow the insertion order, a byte for each slot, and two (3.13: four)
    bytes of counts, rounded up to a word.
    """
    slots = min(shared_keys + 1, _MAX_SHARED_KEYS)
    counts = 4 if sys.version_info >= (3, 13) else 2
    prefix = (slots + counts + _WORD - 1) // _WORD * _WORD
    return prefix + slots * _WORD


def split_dict_bytes(length: int) -> int:
    """Estimate the size of the ``__dict__`` of an instance that shares the keys of its class.

    ``sys.getsizeof`` counts a value for each possible key. In 3.13 the values stay in the instance.
    """
    size = dict.__basicsize__ + _GC_HEADER_BYTES
    return size if sys.version_info >= (3, 13) else size + inline_values_bytes(length)
