"""Which interpreter of the process this is, whether it ends, and what can be asked beside others."""

from __future__ import annotations

import importlib
import sys
import threading
from types import FrameType, ModuleType
from typing import Any

from memlens.errors import CaptureError

__all__ = ("handled_exceptions", "require_usable_interpreter", "running_frames_by_thread")


def _interpreters() -> ModuleType | None:
    """Return the module of CPython for interpreters; None for a build without it."""
    for name in ("_interpreters", "_xxsubinterpreters"):  # since 3.13; before
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    return None


_MODULE = _interpreters()
_IS_MAIN = _MODULE is None or bool(_MODULE.get_current() == _MODULE.get_main())


def require_usable_interpreter(what: str) -> None:
    """Raise ``CaptureError`` in a sub-interpreter, and in one that ends, as in a last finalizer.

    ``what`` begins the sentence: "a snapshot".

    The objects of another interpreter cannot be told from those of this one, its threads may not run
    when it ends, and libraries that memlens needs refuse to be loaded there.
    """
    if not _IS_MAIN:
        raise CaptureError(
            f"{what} needs the main interpreter, and this is a sub-interpreter: call it there (in"
            " mod_wsgi: WSGIApplicationGroup %{GLOBAL})"
        )
    if sys.is_finalizing():
        raise CaptureError(
            f"{what} needs an interpreter that runs, and this one is being finalized: do it earlier,"
            " for example in a function that is registered with atexit"
        )


def _is_alone() -> bool:
    return _MODULE is None or len(_MODULE.list_all()) == 1


def running_frames_by_thread() -> dict[int, FrameType]:
    """Return the innermost running frame of each thread; beside other interpreters of this one only.

    Of the calling thread it is the frame of the caller.
    `sys._current_frames` makes frame objects for the threads of all interpreters. One that has an
    allocator of its own then frees what it has not allocated, and the process ends.
    """
    # Without a variable: the frame of this function is among them, and would be a cycle.
    if _is_alone():
        return sys._current_frames() | {threading.get_ident(): sys._getframe(1)}
    return {threading.get_ident(): sys._getframe(1)}


def handled_exceptions() -> dict[int, Any]:
    """Return the exception that each thread handles, or None; beside other interpreters of this one.

    In 3.11 an exception is a tuple of type, value and traceback.
    """
    if _is_alone():
        return sys._current_exceptions()
    return {threading.get_ident(): sys.exception()}
