"""Native memory that objects of known types hold, as far as Python code can tell.

Objects of ctypes and mmap say it themselves; where mappings lie, ctypes reads. What lies behind a
memoryview, or behind an array of numpy that only views memory, cannot be told without the address, and
the state of a compressor not without its structure, so only the C core does.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from memlens._core.pure.access import FOREIGN_ERRORS, class_mro, class_namespace
from memlens._core.pure.untraversed import find_class
from memlens._core.pure.walk import WalkedHeap

__all__ = ("NativeRow", "own_contents", "stated_rows")

_basic_size = type.__dict__["__basicsize__"].__get__
_MAPPING_LIBRARY = "mmap"
_BYTES_HEADER = bytes.__basicsize__ - 1


class NativeRow(NamedTuple):
    """A block of native memory and the node that holds it; address 0: known to nobody."""

    owner: int
    address: int
    size: int
    device: str
    library: str
    is_told: bool  # by an adapter
    is_mapping: bool = False  # of a mapping object


def stated_rows(heap: WalkedHeap) -> Iterator[NativeRow]:
    """Yield what objects of known types say of themselves."""
    readers = {}
    for node in heap.types:
        reader = _reader(heap.objects[node])
        if reader is not None:
            readers[id(heap.objects[node])] = reader
    if not readers:
        return
    for node, obj in enumerate(heap.objects):
        read = readers.get(id(type(obj)))
        if read is not None:
            try:
                found = read(obj)
            except FOREIGN_ERRORS:
                continue  # closed, or not initialized
            if found is not None and found[1]:
                is_mapping = found[3] == _MAPPING_LIBRARY
                yield NativeRow(node, *found, is_told=False, is_mapping=is_mapping)


_Read = Callable[[Any], "tuple[int, int, str, str] | None"]


def _reader(cls: type) -> _Read | None:
    """Return the function that reads address, size, device and library of an object, or None."""
    mro = class_mro(cls)
    for name in ("Array", "Structure", "Union"):
        foreign = find_class("_ctypes", name)
        if foreign is not None and any(base is foreign for base in mro):
            return _foreign_reader(cls, foreign)
    mapping = find_class("mmap", "mmap")
    if mapping is not None and any(base is mapping for base in mro):
        return _mapping_reader(mapping)
    return None


def _foreign_reader(cls: type, foreign: type) -> _Read:
    functions = vars(sys.modules["_ctypes"])
    size_of, address_of = functions["sizeof"], functions["addressof"]
    owns = class_namespace(class_mro(foreign)[1])["_b_needsfree_"].__get__
    inside_bytes = _basic_size(cls)

    def read(obj: Any) -> tuple[int, int, str, str] | None:
        address = address_of(obj)
        if not owns(obj) or id(obj) <= address < id(obj) + inside_bytes:
            return None
        return address, size_of(obj), "cpu", "ctypes"

    return read


def _mapping_reader(mapping: type) -> _Read:
    length, file_size = (class_namespace(mapping)[name] for name in ("__len__", "size"))

    def read(obj: Any) -> tuple[int, int, str, str]:
        size = length(obj)  # raises for a closed one
        device = "mapped"  # where the list of mappings does not tell
        try:
            file_size(obj)  # from 3.15 on it raises for no mapping, and all seem to be of files
        except OSError:
            device = "cpu"  # no file: anonymous memory
        except ValueError:
            pass  # it has not kept the descriptor
        return _mapped_address(obj, size), size, device, _MAPPING_LIBRARY

    return read


def _mapped_address(mapping: Any, size: int) -> int:
    """Return where a mapping lies, which no method tells; 0 if the program has not imported ctypes.

    The address and the length follow the header of the object. Only the length can be compared.
    """
    pointer = find_class("ctypes", "c_void_p")
    if pointer is None:
        return 0
    start = id(mapping) + object.__basicsize__
    address, length = (pointer.from_address(start + offset).value for offset in (0, 8))
    return address if address and length == size else 0


def own_contents(heap: WalkedHeap) -> Iterator[tuple[int, int, int]]:
    """Yield node, start and end of the contents of bytes and arrays, which are part of their size."""
    array_type = find_class("numpy", "ndarray")
    interface = flags = None
    if array_type is not None:
        namespace = class_namespace(array_type)
        interface, flags = namespace["__array_interface__"].__get__, namespace["flags"].__get__
    for node, obj in enumerate(heap.objects):
        cls = type(obj)
        if cls is bytes:
            start = id(obj) + _BYTES_HEADER
            yield node, start, start + len(obj) + 1
        elif cls is array:
            start, length = obj.buffer_info()
            yield node, start, start + length * obj.itemsize
        elif interface is not None and flags is not None and cls is array_type:
            found = flags(obj)
            if found.owndata and (found.c_contiguous or found.f_contiguous):
                start = interface(obj)["data"][0]
                yield node, start, start + obj.nbytes
