"""Address space that is held back, so that there is some left when the program has used up its memory.

A limit on the address space (``ulimit -v``, RLIMIT_AS) gives a MemoryError, and then there is no memory
for a snapshot either. The reserve is not backed by memory: it costs nothing but its share of the limit.
"""

from __future__ import annotations

import mmap
from contextlib import suppress

__all__ = ("MemoryReserve", "default_bytes")

_MIB = 1 << 20
_MIN_RESERVE_BYTES, _MAX_RESERVE_BYTES = 32 * _MIB, 256 * _MIB
_DEFAULT_RESERVE_BYTES = 60 * _MIB  # without a limit: the program may set one
_HEAP_BYTES = 64 * _MIB  # glibc's malloc takes so much address space at once for a thread: it would
# take all of a reserve of that size. A smaller one it cannot take, of a larger one enough is left.
_RESERVED_SHARE = 8  # one eighth of a limit


class MemoryReserve:
    """Address space that is taken and released; ``size_bytes`` None is about an eighth of the limit.

    That is at least 32 MiB and at most 256 MiB, because the program cannot use what is reserved. Where
    it would be 60 to 128 MiB, it is 60 MiB: see `_HEAP_BYTES`.
    """

    def __init__(self, size_bytes: int | None = None) -> None:
        self._size_bytes = size_bytes
        self._held: mmap.mmap | None = None

    def __repr__(self) -> str:
        return f"<MemoryReserve: {'held' if self.is_held else 'released'}>"

    @property
    def is_held(self) -> bool:
        """Whether the address space is held back."""
        return self._held is not None

    def take(self) -> bool:
        """Reserve the address space; return whether there was enough. Never raises."""
        if self._held is None:
            with suppress(OSError, MemoryError, AttributeError):  # Windows has no flags
                size = self._size_bytes or default_bytes()
                self._held = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        return self.is_held

    def release(self) -> None:
        """Make the address space available. Does nothing if it is not held."""
        held, self._held = self._held, None
        if held is not None:
            held.close()


def default_bytes() -> int:
    """Return an eighth of the lowest limit on the address space, within bounds."""
    import resource

    kinds = (resource.RLIMIT_AS, resource.RLIMIT_DATA)
    limits = [resource.getrlimit(kind)[0] for kind in kinds]
    lowest = min((limit for limit in limits if limit != resource.RLIM_INFINITY), default=None)
    if lowest is None:
        return _DEFAULT_RESERVE_BYTES
    size = min(max(lowest // _RESERVED_SHARE, _MIN_RESERVE_BYTES), _MAX_RESERVE_BYTES)
    return size if size >= 2 * _HEAP_BYTES else min(size, _DEFAULT_RESERVE_BYTES)
