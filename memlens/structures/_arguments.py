"""Checks of constructor arguments that the structures share."""

from __future__ import annotations

__all__ = ("require_callable", "require_count", "require_seconds")


def require_count(name: str, value: object, minimum: int = 1) -> int:
    """Return ``value`` if it is an integer >= ``minimum``; raise TypeError or ValueError if not."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be an integer, not {type(value).__name__} ({value!r:.80})")
    if value < minimum:
        raise ValueError(f"{name} must be at least {minimum}, not {value}")
    return value


def require_seconds(name: str, value: object, *, zero: bool = False) -> float:
    """Return ``value`` as a positive number of seconds; raise TypeError or ValueError if not.

    ``zero=True`` allows 0.
    """
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise TypeError(f"{name} must be a number of seconds, not {type(value).__name__}")
    if value > 0 or (zero and value == 0):
        return float(value)
    accepted = "0 or more" if zero else "more than 0"
    raise ValueError(f"{name} must be {accepted} seconds, not {value}")


def require_callable(name: str, value: object) -> None:
    """Raise TypeError unless ``value`` can be called."""
    if not callable(value):
        raise TypeError(f"{name} must be callable, not {type(value).__name__} ({value!r:.80})")
