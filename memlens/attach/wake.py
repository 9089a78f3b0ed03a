"""Wakes a process that waits for events, so that its interpreter looks for a script to run.

The system call ``epoll_wait``, in which an idle event loop waits, ends early when a debugger stops
the process, even for a microsecond, as after ``SIGCONT``. Python expects that and waits again. Other
system calls continue by themselves, so for a process that sleeps or waits for a lock this does
nothing. The kernel lets the process continue if this one ends in between.
"""

from __future__ import annotations

import ctypes
import os
import time

__all__ = ("interrupt_wait",)

_SEIZE, _INTERRUPT, _DETACH = 0x4206, 0x4207, 17
_WALL = 0x40000000  # wait for a process that is no child
_MAX_SECONDS = 1.0


def interrupt_wait(pid: int) -> bool:
    """Stop the main thread of a process and let it continue at once; return whether that worked."""
    libc = ctypes.CDLL(None, use_errno=True)
    ptrace = libc.ptrace
    ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    ptrace.restype = ctypes.c_long
    if ptrace(_SEIZE, pid, None, None):
        return False  # traced already, or not permitted
    has_stopped = False
    try:
        if ptrace(_INTERRUPT, pid, None, None) == 0:
            has_stopped = _wait(pid)
    finally:
        ptrace(_DETACH, pid, None, None)
    return has_stopped


def _wait(pid: int) -> bool:
    deadline = time.monotonic() + _MAX_SECONDS
    while time.monotonic() < deadline:
        try:
            if os.waitpid(pid, os.WNOHANG | _WALL)[0] == pid:
                return True
        except ChildProcessError:
            return False
        time.sleep(0.0001)
    return False
