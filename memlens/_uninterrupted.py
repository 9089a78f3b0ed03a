"""Lose nothing where an exception comes at any moment, as from a signal handler.

Python runs signal handlers between two bytecode instructions, for example after a call and before
its result is stored. A descriptor or a pid that gets lost there can never be closed or reaped.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from itertools import starmap
from typing import Any

__all__ = ("call_and_store", "close_all", "run_all")


def call_and_store(results: list[Any], function: Callable[..., Any], *arguments: Any) -> None:
    """Call a function written in C and append its result to a list.

    The list iterates a ``starmap`` in C, so no signal handler runs between the call and the append.
    """
    results.extend(starmap(function, [arguments]))


def close_all(descriptors: list[int]) -> None:
    """Close descriptors and remove them from the list, the last first.

    No signal handler runs between the removal of a descriptor and its close, so none is lost and
    none is closed twice. Where even the memory for that is missing, they are closed one by one.
    """
    try:
        deque(map(os.close, iter(descriptors.pop, None)), maxlen=0)
    except IndexError:  # the list is empty
        pass
    except MemoryError:
        while descriptors:
            os.close(descriptors.pop())


def run_all(*steps: Callable[[], object]) -> None:
    """Call functions in order, the later ones also where one has raised an exception.

    Raises the last exception at the end; those before it are its context.
    """
    if steps:
        try:
            steps[0]()
        finally:
            run_all(*steps[1:])
