"""A process that answers one request beside the program: low priority, bounded memory and time.

The request is a JSON object on its standard input, with ``max_bytes`` and ``max_seconds`` among its
members. So is the answer, on its standard output.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from memlens.errors import MemlensError

__all__ = ("answer_request",)

_NICENESS = 10
_RESERVED_BYTES = 1 << 20  # freed when memory is out, so that this can be said


def answer_request(work: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Answer the request with what ``work`` makes of it, or with the ``failure`` as a text."""
    request = json.load(sys.stdin.buffer)
    _limit_process(request["max_bytes"], request["max_seconds"])
    reserve = bytearray(_RESERVED_BYTES)
    try:
        answer = work(request)
    except MemoryError:
        del reserve
        answer = {"failure": f"it needed more than {request['max_bytes'] >> 20} MiB of memory"}
    except MemlensError as error:
        answer = {"failure": str(error)}
    sys.stdout.write(json.dumps(answer))
    sys.stdout.flush()


def _limit_process(max_bytes: int, max_seconds: float) -> None:
    """Step behind the program, and end by ourselves where it has been killed meanwhile."""
    import signal

    with suppress(OSError, AttributeError):  # not allowed, or Windows
        os.nice(_NICENESS)
    with suppress(AttributeError):
        signal.pthread_sigmask(signal.SIG_SETMASK, ())  # inherited from a thread of the program
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, max_seconds)
    with suppress(ImportError, OSError, ValueError):  # a lower limit holds already
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (max_bytes, max_bytes))
