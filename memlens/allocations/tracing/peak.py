"""Restore the peak of tracemalloc, which has a function to reset it but none to set it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

__all__ = ("raise_peak",)

_Track = Callable[[int, int, int], int]  # domain, address, bytes
_Untrack = Callable[[int, int], int]  # domain, address

_DOMAIN = 0x6D6C656E  # a domain of traces that no allocator uses
_ADDRESS = 1  # an address where no block can be


def raise_peak(peak_bytes: int) -> None:
    """Raise the peak of traced memory to ``peak_bytes`` if it is lower and tracing is on.

    A trace of the missing size is added and removed at once, by the C functions that allocators
    call to report their own memory. Nothing is allocated. The peak stays unchanged if this Python
    was built without these functions.
    """
    import tracemalloc

    current_bytes, known_peak_bytes = tracemalloc.get_traced_memory()
    if known_peak_bytes >= peak_bytes or not tracemalloc.is_tracing():
        return
    functions = _tracking_functions()
    if functions is not None:
        track, untrack = functions
        current_bytes, _ = tracemalloc.get_traced_memory()  # the import of ctypes allocates
        track(_DOMAIN, _ADDRESS, max(peak_bytes - current_bytes, 0))
        untrack(_DOMAIN, _ADDRESS)


@cache
def _tracking_functions() -> tuple[_Track, _Untrack] | None:
    try:
        from ctypes import PYFUNCTYPE, c_int, c_size_t, c_uint, pythonapi

        # Our own prototypes: attributes of `pythonapi` are shared with the rest of the process.
        track = PYFUNCTYPE(c_int, c_uint, c_size_t, c_size_t)(("PyTraceMalloc_Track", pythonapi))
        untrack = PYFUNCTYPE(c_int, c_uint, c_size_t)(("PyTraceMalloc_Untrack", pythonapi))
    except (ImportError, AttributeError):
        return None
    return track, untrack
