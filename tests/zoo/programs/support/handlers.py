"""Work that programs hand to a library: decorators and wrappers."""

import functools


def timed(function, context):
    """Return ``function`` wrapped in a closure that keeps ``context``."""

    @functools.wraps(function)
    def wrapper(*arguments):
        context["calls"] = context.get("calls", 0) + 1
        return function(*arguments)

    return wrapper
