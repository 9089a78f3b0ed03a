"""What an adapter is: the functions of one library that tell the native memory of its objects."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from memlens.heap.native.blocks import Block

__all__ = ("Adapter", "BlocksOf", "LibraryAdapters", "MakeBlocksOf")

BlocksOf = Callable[[Any], Iterable[Block]]
MakeBlocksOf = Callable[[], BlocksOf]


class Adapter(NamedTuple):
    """How the objects of one type are measured, and the library that they are counted for.

    ``later`` makes a function that tells more blocks, at more cost or risk: one for each capture, so
    that it can remember what it has seen. That is called when all objects of all libraries have been
    measured, and only where nothing else can be using the objects: in a forked child, or in a process
    of a single thread.
    """

    library: str
    blocks_of: BlocksOf
    later: MakeBlocksOf | None = None


class LibraryAdapters(NamedTuple):
    """The adapters of one library.

    ``types`` maps the full name of a type to the function for objects of exactly that type.
    ``families`` maps the name of a base class to the function for it and for all classes of the same
    module that derive from it. ``unlisted`` maps the names of types that derive from ``object`` and
    stand in no module. ``later`` maps names of ``types`` to makers of what is called later, see
    `Adapter`.
    """

    library: str
    types: Mapping[str, BlocksOf]
    families: Mapping[str, BlocksOf] = {}
    unlisted: Mapping[str, BlocksOf] = {}
    later: Mapping[str, MakeBlocksOf] = {}
