"""The load of a day: traffic is highest in the afternoon; its integral gives what leaks."""

from __future__ import annotations

import numpy as np

from benchmarks.simulated_fleet.plan import DAY

__all__ = ("leaked_seconds", "load")

_SWING = 0.4
_TURN = 2 * np.pi / DAY
_NOON = 15 * 3600.0


def load(true: np.ndarray) -> np.ndarray:
    """Return the load at true times, 1 in the mean of a day."""
    return 1.0 + _SWING * np.cos(_TURN * (true - _NOON))


def leaked_seconds(start: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Return the integral of the load from ``start`` to ``true``."""
    turn = np.sin(_TURN * (true - _NOON)) - np.sin(_TURN * (start - _NOON))
    return (true - start) + _SWING / _TURN * turn
