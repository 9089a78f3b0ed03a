"""Checks of values that were read from a file, before anything is built from them.

Each function returns the value if it has exactly the expected type and range, and raises
``ValueError`` otherwise. Readers turn that into ``SnapshotFileError``. After these checks no view
and no export of a loaded value can fail.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

__all__ = (
    "MAX_INTEGER",
    "MAX_NUMBER",
    "MAX_SECONDS",
    "items_at",
    "stored_boolean",
    "stored_integer",
    "stored_list",
    "stored_number",
    "stored_text",
)

MAX_INTEGER = (1 << 63) - 1  # no size, count or address is larger
MAX_NUMBER = 1e20  # estimates of bytes and blocks; sums and squares of them stay finite
MAX_SECONDS = 1e12  # durations and Unix times, about 30,000 years
_MAX_SHOWN = 60  # characters of a bad value in a message

_Item = TypeVar("_Item")


def stored_integer(value: object, minimum: int = 0, maximum: int = MAX_INTEGER) -> int:
    """Return an ``int`` from ``minimum`` to ``maximum``."""
    if type(value) is not int or not minimum <= value <= maximum:
        raise ValueError(
            f"expected a whole number from {minimum} to {maximum}, got {_shown(value)}"
        )
    return value


def stored_number(value: object, maximum: float = MAX_NUMBER) -> float:
    """Return an ``int`` or ``float`` from 0 to ``maximum``; NaN is refused."""
    if type(value) is not float and type(value) is not int:
        raise ValueError(f"expected a number, got {_shown(value)}")
    if not 0 <= value <= maximum:
        raise ValueError(f"expected a number from 0 to {maximum:g}, got {_shown(value)}")
    return value


def stored_text(value: object) -> str:
    """Return a ``str``."""
    if type(value) is not str:
        raise ValueError(f"expected a string, got {_shown(value)}")
    return value


def stored_boolean(value: object) -> bool:
    """Return a ``bool``."""
    if type(value) is not bool:
        raise ValueError(f"expected true or false, got {_shown(value)}")
    return value


def stored_list(value: object, length: int | None = None) -> list[Any]:
    """Return a ``list``, of exactly ``length`` items if that is given."""
    if type(value) is not list:
        raise ValueError(f"expected a list, got {_shown(value)}")
    if length is not None and len(value) != length:
        raise ValueError(f"expected a list of {length} items, got {len(value)}")
    return value


def items_at(items: Sequence[_Item], positions: object) -> tuple[_Item, ...]:
    """Return the items at a list of positions, each of them an ``int`` in range."""
    count = len(items)
    found = stored_list(positions)
    for position in found:
        if type(position) is not int or not 0 <= position < count:
            raise ValueError(f"expected a number below {count}, got {_shown(position)}")
    return tuple([items[position] for position in found])


def _shown(value: object) -> str:
    """Return a short text of any value; huge integers have no ``repr``."""
    if type(value) is int and value.bit_length() > 256:
        return "a huge number"
    if isinstance(value, (list, dict)):
        return f"a {type(value).__name__} of {len(value)} items"
    text = repr(value[:_MAX_SHOWN] if isinstance(value, str) else value)
    return text if len(text) <= _MAX_SHOWN else f"{text[: _MAX_SHOWN - 3]}..."
