"""The running frames of all threads, and the variables that can be read from them."""

from __future__ import annotations

import os
import sys
from _thread import get_ident
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any, NamedTuple

from memlens._interpreter import running_frames_by_thread

__all__ = (
    "RunningFrame",
    "bound_variables",
    "held_by_frames",
    "own_fields",
    "running_frames",
    "variable_names",
)

_HERE = os.path.dirname((lambda: None).__code__.co_filename) + os.sep  # as code objects have it
_OPTIMIZED = 0x01  # CO_OPTIMIZED: variables are in slots, not in a dict
_get_variable: Callable[[FrameType, bytes], Any] | None = None


class RunningFrame(NamedTuple):
    """A running frame, its thread, and its depth: the number of frames between it and the top."""

    frame: FrameType
    thread: int
    depth: int


def running_frames(own_prefix: str, skip_frames: int) -> tuple[list[RunningFrame], set[int]]:
    """Return the running frames of all threads, innermost first, and the ids of those left out.

    Frames of code in files whose path starts with ``own_prefix`` are left out, and so are the
    ``skip_frames`` innermost other frames of the calling thread.
    """
    frames: list[RunningFrame] = []
    hidden: set[int] = set()
    prefixes = (_HERE, own_prefix) if own_prefix else (_HERE,)
    this_thread = get_ident()
    for thread, top in running_frames_by_thread().items():
        to_skip = skip_frames if thread == this_thread else 0
        frame: FrameType | None = top
        depth = 0
        while frame is not None:
            if frame.f_code.co_filename.startswith(prefixes):
                hidden.add(id(frame))
            elif to_skip:
                to_skip -= 1
                hidden.add(id(frame))
            else:
                frames.append(RunningFrame(frame, thread, depth))
                depth += 1
            frame = frame.f_back
    # A frame whose variable refers to the frame itself would be a cycle.
    del frame, top
    return frames, hidden


def held_by_frames(frames: list[RunningFrame]) -> list[Any]:
    """Return the objects that frames refer to and traversal skips, as far as they can be read."""
    held: list[Any] = []
    for running in frames:
        code = running.frame.f_code
        held.append(code)
        held += (bound_variables(running.frame, variable_names(code)) or {}).values()
    return held


def own_fields(own_prefix: str) -> list[Any]:
    """Return the fields of the running frames of the capture and of its callers in memlens.

    Their variables are not included: they count as reasons to be alive.
    """
    prefixes = (_HERE, own_prefix) if own_prefix else (_HERE,)
    fields: list[Any] = []
    frame = sys._getframe().f_back
    while frame is not None:
        if frame.f_code.co_filename.startswith(prefixes):
            fields.append(frame.f_code)
        frame = frame.f_back
    return fields


def variable_names(code: CodeType) -> list[str]:
    """Return the names of a code object's variables, in the order of a frame's slots.

    ``co_varnames`` is not used: in 3.12 it creates a tuple that stays.
    """
    names: list[str] = []
    name_at: Any = getattr(code, "_varname_from_oparg", None)
    if name_at is None:
        return names
    try:
        while True:
            names.append(name_at(len(names)))
    except IndexError:
        return names


def bound_variables(frame: FrameType, names: list[str]) -> dict[str, Any] | None:
    """Return the bound variables of a frame by name, cells by their contents; None if unreadable.

    ``f_locals`` is read only in 3.13, where it is a view. Before, it creates a dict that stays on
    the frame and keeps the values alive. 3.12 has a C function that returns one variable and
    creates nothing. In 3.11 the variables cannot be read.
    """
    if not frame.f_code.co_flags & _OPTIMIZED:
        return None
    if sys.version_info >= (3, 13):
        return _from_view(frame, names)
    if sys.version_info >= (3, 12):
        return _one_by_one(frame, names)
    return None


def _from_view(frame: FrameType, names: list[str]) -> dict[str, Any]:
    view = frame.f_locals
    found = {}
    for name in names:
        try:
            found[name] = view[name]
        except KeyError:
            continue
    return found


def _one_by_one(frame: FrameType, names: list[str]) -> dict[str, Any] | None:
    get = _variable_getter()
    if get is None:
        return None
    found = {}
    for name in names:
        try:
            found[name] = get(frame, name.encode())
        except NameError:
            continue
    return found


def _variable_getter() -> Callable[[FrameType, bytes], Any] | None:
    """Return ``PyFrame_GetVarString`` as a function that is created once."""
    global _get_variable
    if _get_variable is None:
        try:
            import ctypes
        except ImportError:
            return None
        prototype = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.py_object, ctypes.c_char_p)
        _get_variable = prototype(("PyFrame_GetVarString", ctypes.pythonapi))
    return _get_variable
