"""watch_closed: expect the instances of a class to be collected after they are closed."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from memlens._options import check_seconds, check_text, check_texts, shown
from memlens.errors import OptionError
from memlens.lifetimes.expectations import DEFAULT_SECONDS, OF_PROCESS, Expectations

__all__ = ("unwatch_closed", "watch_closed")

Class = TypeVar("Class", bound=type)

_CLOSERS = ("close", "aclose", "__exit__", "__aexit__")
_WATCHED = "__memlens_watched__"  # the original of a wrapper
_COROUTINE = 0x80  # inspect.CO_COROUTINE


def watch_closed(
    cls: Class,
    methods: Iterable[str] = (),
    *,
    within: float = DEFAULT_SECONDS,
    reason: str = "closed",
    expectations: Expectations | None = None,
) -> Class:
    """Expect each instance of a class to be collected ``within`` seconds after it is closed.

    ``methods``: what closes it, by default those of ``close``, ``aclose``, ``__exit__`` and
    ``__aexit__`` that the class has; name ``destroy`` for a widget. They are replaced by wrappers,
    which call the original first. Returns the class, so that this also decorates one.
    `memlens.lifetimes.unwatch_closed` restores the methods.

    Raises ``OptionError`` for what is not a class, for one whose methods cannot be replaced, and for
    one without any of the methods.
    """
    if not isinstance(cls, type):
        raise OptionError(f"watch_closed takes a class; got {shown(cls)}")
    check_seconds("within", within, 0)
    check_text("reason", reason)
    chosen = check_texts("methods", methods)
    names = chosen or [name for name in _CLOSERS if callable(getattr(cls, name, None))]
    missing = [name for name in names if not callable(getattr(cls, name, None))]
    if missing or not names:
        wanted = missing[0] if missing else " or ".join(_CLOSERS)
        raise OptionError(f"the class {cls.__qualname__} has no method {wanted}")
    if not getattr(cls, "__weakrefoffset__", 0):
        raise OptionError(
            f"objects of the class {cls.__qualname__} cannot be weakly referenced: add"
            " '__weakref__' to its __slots__"
        )
    expected = OF_PROCESS if expectations is None else expectations
    note = functools.partial(expected.expect_collected, within=float(within), reason=reason)
    for name in names:
        _wrap(cls, name, note)
    return cls


def unwatch_closed(cls: type) -> None:
    """Restore the methods of a class that `memlens.watch_closed` replaced. May be repeated."""
    for name, value in list(vars(cls).items()):
        original = getattr(value, _WATCHED, None)
        if original is None:
            continue
        if original is _inherited:
            delattr(cls, name)
        else:
            setattr(cls, name, original)


def _inherited() -> None:
    """Stands for a method that the class inherits, so that its wrapper is only deleted."""


def _wrap(cls: type, name: str, note: Callable[[object], None]) -> None:
    method = getattr(cls, name)
    if hasattr(vars(cls).get(name), _WATCHED):
        return
    code = getattr(method, "__code__", None)
    if code is not None and code.co_flags & _COROUTINE:

        @functools.wraps(method)
        async def closing(self: Any, *args: Any, **options: Any) -> Any:
            try:
                return await method(self, *args, **options)
            finally:
                note(self)

    else:

        @functools.wraps(method)
        def closing(self: Any, *args: Any, **options: Any) -> Any:
            try:
                return method(self, *args, **options)
            finally:
                note(self)

    setattr(closing, _WATCHED, vars(cls).get(name, _inherited))
    try:
        setattr(cls, name, closing)
    except (TypeError, AttributeError) as error:
        raise OptionError(
            f"the methods of {cls.__qualname__} cannot be replaced ({error}): derive a class from"
            " it and watch that"
        ) from error
