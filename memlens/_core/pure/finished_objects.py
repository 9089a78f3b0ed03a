"""Recognize finished objects: closed files and sockets, ended generators, tasks and threads.

The state is read through descriptors of the C types, because a subclass may override them.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable
from itertools import pairwise
from types import FunctionType, GetSetDescriptorType, MemberDescriptorType, MethodDescriptorType
from typing import Any, TypeAlias

from memlens._core.pure.access import class_mro, class_name, class_namespace, find_in_mro
from memlens._core.pure.functions import CODE_OF

__all__ = ("finished_test",)

Test: TypeAlias = "Callable[[Any], bool]"

_get_attribute = object.__getattribute__
# The field of the underlying file of a buffered or text file, which has the state.
_INNER_FIELD = {
    "_io.TextIOWrapper": "buffer",
    "_io.BufferedReader": "raw",
    "_io.BufferedWriter": "raw",
    "_io.BufferedRandom": "raw",
}
# A text file has a buffered one inside, and that a raw one. Longer chains can be built, also rings: the
# state of a file with more of them inside is not known. native/capture/finished.c has the same.
_MOST_INNER_FILES = 16


def finished_test(cls: type) -> Test | None:
    """Return the function that checks whether an instance of ``cls`` is finished, or None."""
    get_code = CODE_OF.get(id(cls))
    if get_code is not None:
        return _generator_test(get_code)
    for base in class_mro(cls):
        make = _MAKERS.get(class_name(base))
        if make is not None and not _is_disguised(base):
            return make(cls, base)
    return None


def _is_disguised(cls: type) -> bool:
    """Return whether a class of the program only has the name of a C type that has a test."""
    state = _STATE_OF.get(class_name(cls))
    return state is not None and type(class_namespace(cls).get(state)) not in _OF_C


def _generator_test(get_code: Callable[[Any], Any]) -> Test:
    """Return the test for generators: after its end, one refers to no frame or function.

    ``gi_frame`` is not used: it creates a frame object that stays.
    """

    def has_ended(obj: Any) -> bool:
        held = gc.get_referents(obj)
        code = get_code(obj)
        return not any(
            type(first) is FunctionType and second is code for first, second in pairwise(held)
        )

    return has_ended


def _closed_test(cls: type, base: type) -> Test:
    closed = class_namespace(base)["closed"].__get__
    return lambda obj: bool(closed(obj))


def _outer_file_test(cls: type, base: type) -> Test:
    def is_closed(obj: Any) -> bool:
        kind: type | None = base
        for _ in range(_MOST_INNER_FILES):
            if kind is None or class_name(kind) not in _INNER_FIELD:
                break
            obj = class_namespace(kind)[_INNER_FIELD[class_name(kind)]].__get__(obj)
            kind = next(
                (known for known in class_mro(type(obj)) if class_name(known) in _MAKERS), None
            )
        if kind is None or class_name(kind) in _INNER_FIELD:
            return False
        test = finished_test(type(obj))
        return test is not None and test(obj)

    return is_closed


def _socket_test(cls: type, base: type) -> Test:
    fileno = class_namespace(base)["fileno"]
    return lambda obj: bool(fileno(obj) == -1)


def _future_test(cls: type, base: type) -> Test:
    done = class_namespace(base)["done"]
    return lambda obj: bool(done(obj))


def _thread_test(cls: type, base: type) -> Test | None:
    """Return the test for threads: one has begun, and ``threading`` does not know it any more.

    The handle of a thread is not asked: since 3.14 that joins it, and other threads run meanwhile.
    """
    try:
        find_in_mro(cls, "_ident")
    except KeyError:
        pass  # only the instance has it, so a lookup runs no code
    except LookupError:
        return None
    else:
        return None

    def has_ended(obj: Any) -> bool:
        if type(_get_attribute(obj, "_ident")) is not int:
            return False  # it has not begun
        running, starting = [getattr(threading, name, None) for name in ("_active", "_limbo")]
        if type(running) is not dict or type(starting) is not dict:
            return False
        return not any(one is obj for one in [*running.values(), *starting])

    return has_ended


# What of a C type the test reads; in a class of the program it is of another kind, or missing.
_STATE_OF = {
    **dict.fromkeys(("_io.FileIO", "_io.BytesIO", "_io.StringIO"), "closed"),
    **_INNER_FIELD,
    "_socket.socket": "fileno",
    "_asyncio.Future": "done",
    "_asyncio.Task": "done",
}
_OF_C = (GetSetDescriptorType, MemberDescriptorType, MethodDescriptorType)

_MAKERS: dict[str, Callable[[type, type], Test | None]] = {
    "_io.FileIO": _closed_test,
    "_io.BytesIO": _closed_test,
    "_io.StringIO": _closed_test,
    **dict.fromkeys(_INNER_FIELD, _outer_file_test),
    "_socket.socket": _socket_test,
    "_asyncio.Future": _future_test,
    "_asyncio.Task": _future_test,
    "threading.Thread": _thread_test,
}
