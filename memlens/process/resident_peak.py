"""ResidentPeak: by how much resident memory rose at its peak, as Linux records it.

The kernel keeps the highest resident size of a process and resets it on request, so nothing has to
be sampled: all memory counts, that of native libraries too.
"""

from __future__ import annotations

import ctypes
import re
from functools import cache
from typing import Any

from memlens.errors import ReadingError

__all__ = ("ResidentPeak",)

_STATUS = re.compile(r"^Vm(HWM|RSS):\s+(\d+) kB$", re.MULTILINE)


class ResidentPeak:
    """Measures from its creation to `rise_bytes`.

    Free memory that the C library keeps is returned to the system first: else it would be used again
    without a rise. Raises ``ReadingError`` where the system cannot reset the peak: elsewhere than on
    Linux, or in a sandbox that protects /proc.
    """

    def __init__(self) -> None:
        trim = _trim_function()
        if trim is not None:
            trim(0)
        try:
            with open("/proc/self/clear_refs", "wb", buffering=0) as file:
                file.write(b"5")  # see the kernel's proc.rst
        except OSError as error:
            raise ReadingError(
                f"the peak of resident memory cannot be reset here ({error}): that needs Linux and a"
                " /proc that can be written"
            ) from error
        self._start_bytes = _sizes()["RSS"]

    def rise_bytes(self) -> int:
        """Return how far the highest resident size since the start was above that at the start."""
        return max(0, _sizes()["HWM"] - self._start_bytes)


def _sizes() -> dict[str, int]:
    with open("/proc/self/status", encoding="ascii", errors="replace") as file:
        return {name: int(size) * 1024 for name, size in _STATUS.findall(file.read())}


@cache
def _trim_function() -> Any:
    """Return ``malloc_trim`` of glibc, or None."""
    return getattr(ctypes.CDLL(None), "malloc_trim", None)
