"""Call a system function and keep its result even if a signal handler raises an exception.

Python runs signal handlers between two bytecode instructions, for example after a call and before
its result is stored. A descriptor or a pid that gets lost there can never be closed or reaped.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ("call_and_store",)


def call_and_store(results: list[Any], function: Callable[..., Any], *arguments: Any) -> None:
    """Call a function written in C with at least one argument and append its result to a list.

    The list iterates a ``map`` in C, so no signal handler runs between the call and the append.
    """
    results.extend(map(function, *([argument] for argument in arguments)))
