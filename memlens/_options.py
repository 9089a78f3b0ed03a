"""Checks of options: each returns the accepted value or raises ``OptionError``.

Every message names the option, says what is expected, and shows what was given. All public
functions and constructors check their options here before they do anything else.
"""

from __future__ import annotations

import operator
import os
import re
from collections.abc import Iterable
from math import inf, isnan
from typing import TypeVar

from memlens.errors import OptionError

__all__ = (
    "check_boolean",
    "check_bytes",
    "check_callable",
    "check_choice",
    "check_count",
    "check_integer",
    "check_number",
    "check_path",
    "check_regexes",
    "check_seconds",
    "check_text",
    "check_texts",
    "shown",
)

Choice = TypeVar("Choice")
_MAX_SHOWN = 80  # characters of a wrong value in a message


def check_integer(
    name: str, value: object, min_value: int | None = None, max_value: int | None = None
) -> int:
    """Return ``value`` as an ``int`` between ``min_value`` and ``max_value``, both inclusive.

    Integers of other libraries (numpy) are accepted; ``bool`` and floats are not.
    """
    try:
        number = None if isinstance(value, bool) else operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        number = None
    if number is None or not _is_between(number, min_value, max_value):
        raise _refusal(name, f"a whole number{_range(min_value, max_value)}", value)
    return number


def check_count(name: str, value: object, min_value: int = 1) -> int:
    """Return ``value`` as an ``int`` of at least ``min_value``: how many of something."""
    return check_integer(name, value, min_value)


def check_bytes(name: str, value: object, min_value: int = 0) -> int:
    """Return ``value`` as a whole number of bytes, at least ``min_value``."""
    return check_integer(name, value, min_value)


def check_number(
    name: str,
    value: object,
    min_value: float | None = None,
    max_value: float | None = None,
    *,
    above: float | None = None,
    unit: str = "",
    allow_infinity: bool = False,
) -> float:
    """Return ``value`` as a ``float`` between ``min_value`` and ``max_value``, both inclusive.

    ``above`` is an exclusive lower bound. NaN is never accepted; infinity is where
    ``allow_infinity`` is True. ``unit`` is shown in the message: ``seconds``.
    """
    number = _as_float(value)
    valid = (
        number is not None
        and not isnan(number)
        and (allow_infinity or abs(number) != inf)
        and _is_between(number, min_value, max_value)
        and (above is None or number > above)
    )
    if number is None or not valid:
        what = f"a number of {unit}" if unit else "a number"
        bounds = f" above {above:g}" if above is not None else _range(min_value, max_value)
        raise _refusal(name, what + bounds, value)
    return number


def check_seconds(
    name: str,
    value: object,
    min_value: float | None = None,
    *,
    allow_infinity: bool = False,
) -> float:
    """Return ``value`` as a number of seconds: above 0, or at least ``min_value`` if given."""
    above = 0.0 if min_value is None else None
    return check_number(
        name, value, min_value, above=above, unit="seconds", allow_infinity=allow_infinity
    )


def check_boolean(name: str, value: object) -> bool:
    """Return ``value`` if it is True or False."""
    if value is not True and value is not False:
        raise _refusal(name, "True or False", value)
    return value


def check_text(name: str, value: object) -> str:
    """Return ``value`` if it is a ``str``."""
    if not isinstance(value, str):
        raise _refusal(name, "a string", value)
    return value


def check_texts(name: str, values: object) -> tuple[str, ...]:
    """Return a tuple of strings. A single string is refused: it would be read letter by letter."""
    if isinstance(values, (str, bytes)):
        raise OptionError(
            f"{name} must be a sequence of strings; for one string write {name}=({shown(values)},)"
        )
    if not isinstance(values, Iterable):
        raise _refusal(name, "a sequence of strings", values)
    texts = tuple(values)
    for text in texts:
        if not isinstance(text, str):
            raise _refusal(name, "a sequence of strings", text, got="it contains")
    return texts


def check_regexes(name: str, values: object) -> tuple[re.Pattern[str], ...]:
    """Return a tuple of compiled regular expressions; ``values`` are strings."""
    compiled = []
    for text in check_texts(name, values):
        try:
            compiled.append(re.compile(text))
        except re.error as error:
            raise OptionError(
                f"{name} must be regular expressions; {shown(text)} is not one: {error}"
            ) from error
    return tuple(compiled)


def check_choice(name: str, value: object, choices: Iterable[Choice]) -> Choice:
    """Return the element of ``choices`` that equals ``value``."""
    known = tuple(choices)
    for choice in known:
        if type(choice) is type(value) and choice == value:
            return choice
    names = ", ".join(repr(choice) for choice in known)
    raise _refusal(name, f"one of {names}", value)


def check_callable(name: str, value: object) -> None:
    """Raise ``OptionError`` unless ``value`` can be called."""
    if not callable(value):
        raise _refusal(name, "a function or another callable", value)


def check_path(name: str, value: object) -> str:
    """Return a path as a ``str``; ``value`` is a non-empty ``str`` or an ``os.PathLike`` of one."""
    try:
        path = os.fspath(value)  # type: ignore[call-overload]
        os.fsencode(path)
    except (TypeError, UnicodeEncodeError):  # no path; characters that no file name can have
        path = None
    if not isinstance(path, str) or not path or "\0" in path:
        raise _refusal(name, "a path (a non-empty string or a pathlib.Path)", value)
    return path


def shown(value: object) -> str:
    """Return a short ``repr`` of any value for a message; never raises."""
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - the repr of a wrong value must not hide what is wrong
        return f"an object of type {type(value).__name__}"
    return text if len(text) <= _MAX_SHOWN else f"{text[: _MAX_SHOWN - 3]}..."


def _as_float(value: object) -> float | None:
    if isinstance(value, (bool, str, bytes, bytearray)):
        return None  # float() would parse text
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return None


def _is_between(number: float, low: float | None, high: float | None) -> bool:
    return (low is None or number >= low) and (high is None or number <= high)


def _range(low: float | None, high: float | None) -> str:
    if low is not None and high is not None:
        return f", {_plain(low)} to {_plain(high)}"
    if low is not None:
        return f", {_plain(low)} or more"
    return f", {_plain(high)} or less" if high is not None else ""


def _plain(bound: float) -> str:
    return str(bound) if isinstance(bound, int) else f"{bound:g}"


def _refusal(name: str, expected: str, value: object, got: str = "got") -> OptionError:
    return OptionError(f"{name} must be {expected}; {got} {shown(value)}")
