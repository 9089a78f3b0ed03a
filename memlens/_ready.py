"""wait_until_ready: wait for descriptors, by whichever call the program has left in `select`.

An event loop that replaces the standard library takes away what it cannot make cooperative: with
eventlet there is no ``poll``, and ``select`` lets other greenlets run.
"""

from __future__ import annotations

import select
from collections.abc import Iterable
from contextlib import suppress

__all__ = ("wait_until_ready",)


def wait_until_ready(
    readable: Iterable[int], writable: Iterable[int] = (), seconds: float | None = None
) -> None:
    """Wait until a descriptor can be read or written, or has been closed, at most for ``seconds``."""
    if hasattr(select, "poll"):  # `select` cannot handle descriptors from 1024 on
        waiting = select.poll()
        for descriptors, event in ((readable, select.POLLIN), (writable, select.POLLOUT)):
            for descriptor in descriptors:
                waiting.register(descriptor, event)
        waiting.poll(None if seconds is None else seconds * 1000)
        return
    with suppress(OSError, ValueError):  # another thread has closed one
        select.select([*readable], [*writable], [], seconds)
