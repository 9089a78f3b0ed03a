"""When a process began: a token that names the process, and its uptime by a clock that is never set."""

from __future__ import annotations

import os
import time
from functools import lru_cache

__all__ = (
    "TOKEN_FACT",
    "UNKNOWN_TOKEN",
    "UPTIME_FACT",
    "process_token",
    "started_monotonic",
    "steady_time",
)

UNKNOWN_TOKEN = "0"
TOKEN_FACT = "process_token"  # of snapshots
UPTIME_FACT = "uptime_seconds"  # of snapshots
_BOOT_CLOCK = getattr(time, "CLOCK_BOOTTIME", None)  # ticks while the machine sleeps, too


def process_token(pid: int) -> str | None:
    """Return a token of the start time of a process; None if it does not exist or has ended.

    It counts ticks since the boot, so that setting the clock does not change it.
    """
    fields = _stat_fields(pid)
    if fields is not None:
        return None if fields[0] in "ZX" else f"{int(fields[19]):x}"
    if _stat_fields(os.getpid()) is not None:
        return None  # Linux lists its processes, and this one is not there
    return _token_of_psutil(pid)


def started_monotonic() -> float:
    """Return when this process began, in seconds of ``time.monotonic()``.

    The uptime at any later moment is the difference: no change of the wall clock is part of it.
    """
    return _started_monotonic(os.getpid())


def steady_time() -> float:
    """Return the time in seconds since the epoch, without what the wall clock is set by from now on.

    It is the wall clock at the first call in this process, and follows the monotonic clock from there.
    """
    return _wall_minus_monotonic(os.getpid()) + time.monotonic()


@lru_cache(maxsize=1)
def _wall_minus_monotonic(pid: int) -> float:
    return time.time() - time.monotonic()


@lru_cache(maxsize=1)  # keyed by process, so that a forked child gets its own
def _started_monotonic(pid: int) -> float:
    now = time.monotonic()
    fields = _stat_fields(pid)
    if fields is not None and _BOOT_CLOCK is not None:
        ticks = int(fields[19]) / os.sysconf("SC_CLK_TCK")
        return now - max(0.0, time.clock_gettime(_BOOT_CLOCK) - ticks)
    import psutil

    try:
        return now - max(0.0, time.time() - float(psutil.Process(pid).create_time()))
    except (psutil.Error, OSError):
        return now


def _stat_fields(pid: int) -> list[str] | None:
    """Return the fields of ``/proc/<pid>/stat`` from the state on, see proc_pid_stat(5)."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            # The name of the program may contain anything, so search for its last bracket.
            return file.read().rpartition(")")[2].split()
    except OSError:
        return None


def _token_of_psutil(pid: int) -> str | None:
    import psutil

    try:
        return f"{round(psutil.Process(pid).create_time() * 100):x}"
    except psutil.NoSuchProcess:
        return None
    except (psutil.Error, OSError):
        return UNKNOWN_TOKEN if _may_exist(pid) else None


def _may_exist(pid: int) -> bool:
    """Return False for a process that does not exist; True also where that cannot be asked now."""
    import psutil

    try:
        return bool(psutil.pid_exists(pid))
    except OSError:  # all descriptors are in use
        return True
