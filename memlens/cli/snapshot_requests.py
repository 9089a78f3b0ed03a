"""Snapshots that the process which started ``run`` requests, each by a byte in a pipe."""

from __future__ import annotations

import os
from collections.abc import Callable

from memlens._own_thread import OwnThread, out_of_sight
from memlens.errors import OptionError

__all__ = ("answer_requests",)


def answer_requests(descriptor: int, take: Callable[[], object]) -> None:
    """Call ``take`` in a daemon thread whenever bytes arrive, until the other end is closed.

    Several requests that arrive while one is answered are answered by one more. Raises
    ``OptionError`` for a descriptor that is not open.
    """
    try:
        os.set_inheritable(descriptor, False)  # the program's own children have no use for it
    except OSError as error:
        raise OptionError(f"{descriptor} is not an open descriptor: {error.strerror}") from error

    def is_wanted() -> bool:
        with out_of_sight():
            return bool(os.read(descriptor, 4096))

    def answer() -> None:
        while is_wanted():
            take()

    OwnThread(answer, "memlens-requests").start()
