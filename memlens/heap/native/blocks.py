"""Blocks of native memory: what an adapter says that an object owns outside of Python's heap."""

from __future__ import annotations

from typing import NamedTuple

from memlens._core.native_chunks import HELD_OBJECT

__all__ = ("BadBlockError", "Block", "NativeBlock", "check_block", "held_object")

# A `NativeBlock`, or a plain tuple like it, which takes a third of the time to make.
Block = tuple[int, int, str]

_MAX_NUMBER = 2**64 - 1  # addresses and sizes are stored in 64 bits
_MAX_DEVICE_CHARACTERS = 100


class BadBlockError(ValueError):
    """What an adapter returned is no block. The message names types and numbers, never data."""


class NativeBlock(NamedTuple):
    """A block of memory that an object keeps allocated.

    ``address`` is where the block begins, so that objects that share it are recognised. Use 0 if the
    address is unknown: the block then belongs to its object alone. ``size`` is the number of bytes that
    are allocated. ``device`` is the kind of memory: ``"cpu"``, ``"mapped"`` for a file that is mapped
    into memory, or the name of a device: ``"cuda:0"``.
    """

    address: int
    size: int
    device: str = "cpu"


def held_object(obj: object) -> Block:
    """Return what an adapter says of a Python object that its object keeps alive in native code.

    The core makes a reference of it if the object is in the snapshot, else nothing. One of the
    object's references is explained then, however many owners state it.
    """
    return id(obj), id(type(obj)), HELD_OBJECT


def check_block(block: object) -> tuple[int, int, str]:
    """Return the address, the size in bytes and the device of a block that an adapter returned.

    Raises ``BadBlockError`` if the block is not a tuple of these.
    """
    if not isinstance(block, tuple) or len(block) not in (2, 3):
        raise BadBlockError(f"expected a NativeBlock, got {type(block).__name__}")
    address, size = block[0], block[1]
    device = block[2] if len(block) == 3 else "cpu"
    if type(address) is not int or type(size) is not int or type(device) is not str:
        kinds = ", ".join(type(value).__name__ for value in block)
        raise BadBlockError(f"expected a block of (int, int, str), got ({kinds})")
    if not (0 <= address <= _MAX_NUMBER and 0 <= size <= _MAX_NUMBER):
        raise BadBlockError(
            f"expected an address and a size from 0 to 2**64 - 1, got {address}, {size}"
        )
    if address + size > _MAX_NUMBER and device != HELD_OBJECT:
        raise BadBlockError(f"expected a block that ends below 2**64, got {address}, {size}")
    if not device or len(device) > _MAX_DEVICE_CHARACTERS or not device.isprintable():
        raise BadBlockError("expected the name of a device of 1 to 100 printable characters")
    return address, size, device
