"""Quick turns: a thread that is in a hurry gets the GIL back soon after each call of the system.

Each call that may wait lets another thread run Python code, which keeps the GIL for the switch
interval: 5 milliseconds, times the number of busy threads. A check of the headroom makes about six
such calls, and to begin a snapshot takes forty: meanwhile a leak of 1 GiB a second allocates 200 MiB.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ("quick_turns",)

_SECONDS = 1e-4


@contextmanager
def quick_turns() -> Iterator[None]:
    """In the block let threads switch after a tenth of a millisecond.

    The interval belongs to all threads. It is set back, unless the program has set another meanwhile.
    """
    before = sys.getswitchinterval()
    if before <= _SECONDS:
        yield
        return
    sys.setswitchinterval(_SECONDS)
    ours = sys.getswitchinterval()
    try:
        yield
    finally:
        if sys.getswitchinterval() == ours:
            sys.setswitchinterval(before)
