"""ChildProcess: signal and reap one child safely, whatever else the program does.

Code of the program that waits for any child may reap this one, and the system may then give the pid
to another process. On Linux most children that capture are out of its reach: they end without SIGCHLD
(fork.c), and a pidfd refers to this child and no other. Elsewhere a child that was reaped by other code
is recognized before it is signalled.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from typing import Any

from memlens._uninterrupted import call_and_store, close_all

__all__ = ("WAIT_FOR_ANY_KIND", "ChildProcess", "leave_to_reap", "reap_left")

# __WALL: of ``waitpid`` and ``waitid``, also for children that end without SIGCHLD
WAIT_FOR_ANY_KIND = 0x40000000 if sys.platform == "linux" else 0
_left: list[ChildProcess] = []  # killed by finalizers, which have not waited for their end


class ChildProcess:
    """A forked child of this process.

    ``exit_code`` is negative for a signal, and None if the child is running or other code has
    reaped it. Call `close` at the end. ``descriptors``: a list of the caller for the pidfd, which it
    can close also where a signal handler has raised an exception before it had this object.
    """

    def __init__(self, pid: int, descriptors: list[int] | None = None) -> None:
        self.pid = pid
        self.has_ended = False
        self.exit_code: int | None = None
        self._descriptors: list[int] = [] if descriptors is None else descriptors
        self._results: list[Any] = []
        if self._descriptors:
            return
        with suppress(AttributeError, OSError):  # not Linux, an old kernel, or no free descriptor
            call_and_store(self._descriptors, os.pidfd_open, pid)
            try:  # Linux 5.3 has pidfds that cannot be waited for
                options = os.WEXITED | os.WNOHANG | os.WNOWAIT | WAIT_FOR_ANY_KIND
                os.waitid(os.P_PIDFD, self.descriptor, options)
            except ChildProcessError:
                pass  # reaped by other code
            except OSError:
                self.close()

    @property
    def descriptor(self) -> int:
        """A pidfd, or -1 where there are none."""
        return self._descriptors[0] if self._descriptors else -1

    def __repr__(self) -> str:
        return f"<ChildProcess {self.pid}: {'ended' if self.has_ended else 'running'}>"

    def kill(self) -> None:
        """Kill the child if it is running."""
        if self.has_ended:
            return
        try:  # allocates nothing where there are pidfds
            if self.descriptor >= 0:
                signal.pidfd_send_signal(self.descriptor, signal.SIGKILL)
            elif not self.poll():
                os.kill(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def poll(self) -> bool:
        """Reap the child if it has ended; return whether it has."""
        return self._reap(os.WNOHANG)

    def wait(self) -> None:
        """Wait until the child has ended, and reap it."""
        self._reap(0)

    def wait_at_last(self) -> None:
        """Wait until the child has ended, also if a signal handler raises meanwhile."""
        try:
            self.wait()
        except BaseException:
            self.wait()
            raise

    def close(self) -> None:
        """Close the descriptor of the child."""
        close_all(self._descriptors)

    def _reap(self, options: int) -> bool:
        if self.has_ended:
            return True
        options |= WAIT_FOR_ANY_KIND
        try:
            if self.descriptor >= 0:
                call_and_store(
                    self._results, os.waitid, os.P_PIDFD, self.descriptor, os.WEXITED | options
                )
            else:
                call_and_store(self._results, os.waitpid, self.pid, options)
        except ChildProcessError:
            pass  # reaped: by other code, or by a call that a signal handler has interrupted
        else:
            if not _is_final(self._results[-1]):
                self._results.pop()
                return False
        self.exit_code = _exit_code(self._results[-1]) if self._results else None
        self.has_ended = True
        return True


def _is_final(result: Any) -> bool:
    """Return whether the result of ``waitid`` or ``waitpid`` is that of a child that has ended."""
    return result is not None and (type(result) is not tuple or result[0] != 0)


def _exit_code(result: Any) -> int:
    if type(result) is tuple:
        return os.waitstatus_to_exitcode(result[1])
    status: int = result.si_status
    return status if result.si_code == os.CLD_EXITED else -status


def leave_to_reap(child: ChildProcess) -> None:
    """Note a child that was killed, for `reap_left`: a finalizer does not wait."""
    _left.append(child)


def reap_left() -> None:
    """Reap the noted children that have ended."""
    for child in list(_left):
        if child.poll():
            child.close()
            with suppress(ValueError):  # another thread has removed it
                _left.remove(child)
