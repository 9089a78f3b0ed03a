"""Commands that end by a signal: without a traceback, and as the shell expects it."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress

__all__ = ("SHELL_OFFSET", "end_by")

SHELL_OFFSET = 128  # a shell reports a death by signal N as the exit code 128 + N


def end_by(number: int) -> int:
    """End this process by a signal, so that its parent notices; return 128 + ``number`` if it lives.

    A shell stops a loop or a script only if the command dies of SIGINT; an exit code of 130 would
    not do.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # the reader has gone, or the stream is closed
            stream.flush()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    return SHELL_OFFSET + number
