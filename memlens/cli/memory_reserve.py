"""Address space that ``run`` holds back, so that it can report where the program used up its memory."""

from __future__ import annotations

import mmap
from contextlib import suppress

__all__ = ("reserve_memory",)

_MIB = 1 << 20
_MIN_RESERVE_BYTES, _MAX_RESERVE_BYTES = 32 * _MIB, 256 * _MIB
_DEFAULT_RESERVE_BYTES = 64 * _MIB  # without a limit: the program may set one
_RESERVED_SHARE = 8  # one eighth of a limit


def reserve_memory() -> mmap.mmap | None:
    """Return address space that is not used until it is released; None if there is not enough."""
    with suppress(OSError, MemoryError, AttributeError):  # AttributeError: Windows has no flags
        return mmap.mmap(-1, _reserve_size(), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    return None


def _reserve_size() -> int:
    import resource

    kinds = (resource.RLIMIT_AS, resource.RLIMIT_DATA)
    limits = [resource.getrlimit(kind)[0] for kind in kinds]
    lowest = min((limit for limit in limits if limit != resource.RLIM_INFINITY), default=None)
    if lowest is None:
        return _DEFAULT_RESERVE_BYTES
    return min(max(lowest // _RESERVED_SHARE, _MIN_RESERVE_BYTES), _MAX_RESERVE_BYTES)
