"""ExitCall: a function that is called when the process ends, also as a worker of multiprocessing."""

from __future__ import annotations

import atexit
import sys
from collections.abc import Callable
from typing import Any

__all__ = ("ExitCall",)

_AFTER_OTHERS = -10  # a priority: multiprocessing has joined its children then


class ExitCall:
    """Calls ``function`` when the interpreter exits.

    A forked worker of ``multiprocessing`` ends by ``os._exit``, which runs nothing of `atexit`: it
    calls its own finalizers before. The function may be called twice, and is not after `cancel`.
    """

    def __init__(self, function: Callable[[], object]) -> None:
        self._function = function
        self._finalizer: Any = None
        self._is_looked_for = True

    def register(self) -> None:
        """Call the function at the exit, in children that are forked, too."""
        atexit.register(self._function)
        self._is_looked_for = False

    def cancel(self) -> None:
        """Do not call the function."""
        atexit.unregister(self._function)
        self._is_looked_for = True
        if self._finalizer is not None:
            self._finalizer.cancel()
            self._finalizer = None

    def forget(self) -> None:
        """Forget the finalizer of the parent process, in a forked child."""
        self._finalizer = None
        self._is_looked_for = False

    def register_worker(self) -> None:
        """Call the function at the end of a worker of multiprocessing, too.

        To be called when the process has begun its work: it drops what was registered before.
        Imports nothing.
        """
        util = sys.modules.get("multiprocessing.util")
        if not self._is_looked_for and util is not None:
            self._is_looked_for = True
            self._finalizer = util.Finalize(None, self._function, exitpriority=_AFTER_OTHERS)
