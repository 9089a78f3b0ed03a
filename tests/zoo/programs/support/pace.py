"""The pace of a program: how many steps, in how many seconds, from which seed, leaking or not.

The judge takes its snapshots between two steps, through `observe`.
"""

import asyncio
import os
import random
import time

LEAK = os.environ.get("ZOO_TWIN") != "1"
SECONDS = float(os.environ.get("ZOO_SECONDS", "4"))
STEPS = int(os.environ.get("ZOO_STEPS", "400"))
SEED = int(os.environ.get("ZOO_SEED", "1"))

rng = random.Random(SEED)
_observers = []


def observe(callback):
    """Call ``callback`` before each step with the number of steps done, and after the last."""
    _observers.append(callback)


def ticks():
    """Yield the number of each step, and sleep between steps."""
    start = time.monotonic()
    for number in range(STEPS):
        _notify(number)
        yield number
        time.sleep(_pause(start, number))
    _notify(STEPS)


async def aticks():
    """Yield the number of each step, and let the event loop run between steps."""
    start = time.monotonic()
    for number in range(STEPS):
        _notify(number)
        yield number
        await asyncio.sleep(_pause(start, number))
    _notify(STEPS)


def _notify(steps_done):
    for callback in _observers:
        callback(steps_done)


def _pause(start, number):
    return max(0.0, start + (number + 1) * SECONDS / STEPS - time.monotonic())
