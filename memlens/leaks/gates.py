"""Gates: what the contents of a place through several snapshots say about a leak.

A leak keeps what it gains. So it is not enough that a container is longer each time: what was added
in each interval must still be there at the end, the growth must exceed what comings and goings
bring about by chance, and it must not be running out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

__all__ = (
    "Contents",
    "can_be_leak",
    "is_even",
    "is_initial_load",
    "is_leak",
    "onset_of",
    "rates",
    "slows_down",
    "steps_of",
)

_MIN_KEPT = 0.5  # of what was added in an interval, at the end
_MIN_NET = 0.4  # of all that was added
_MIN_INTERVALS_OF_BACKLOG = 3
_MIN_NET_OF_BACKLOG = 0.5  # of what was added in an interval
_MAX_TURNOVER = 2 / 3  # of what was there, in an interval
_MIN_SIGMAS = 3.0  # of a random walk with as many comings and goings
_SETTLING = 0.4  # the last rate, as a share of the first
_SETTLING_OF_TWO = 0.5  # where there are two: they are too few to tell chance from a trend
_SIGMAS_OF_COUNTS = 2.0
_MIN_INTERVALS_SINCE_ONSET = 3
_LOADED = 0.4  # the rate after the start of a place, as a share of the rate at its start
_MIN_ELEMENTS = 3  # gained in an interval; fewer are the noise of any running program
_MIN_LAST_SHARE = 0.25  # the growth in the last interval, as a share of the mean
_MAX_UNEVEN = 0.25  # of the mean step
_HEAVY_BYTES = 1 << 20  # an interval: then fewer elements count, too


@dataclass(frozen=True, slots=True)
class Contents:
    """The contents of a place in each snapshot of its life.

    ``lengths``: elements in each. ``added`` and ``removed``: in each interval. ``kept``: of those
    added in each interval, how many are there at the end. ``seconds``: when the snapshots were
    taken. ``bytes_grown`` is the growth of what the place keeps alive, where it is known. ``is_born``:
    in the first snapshot the place did not exist.
    """

    lengths: Sequence[int]
    added: Sequence[int]
    removed: Sequence[int]
    kept: Sequence[int]
    seconds: Sequence[float]
    bytes_grown: int = 0
    is_born: bool = False

    @property
    def steps(self) -> list[int]:
        """The growth in each interval."""
        return steps_of(self.lengths)


def steps_of(lengths: Sequence[int]) -> list[int]:
    """Return the growth in each interval."""
    return [after - before for before, after in pairwise(lengths)]


def is_leak(contents: Contents) -> bool:
    """Tell whether a place gains elements in every interval and keeps them."""
    steps = contents.steps
    if not steps or not _rises(contents):
        return False
    net, added, removed = sum(steps), sum(contents.added), sum(contents.removed)
    if removed and (net < _MIN_NET * added or net < _MIN_SIGMAS * math.sqrt(added + removed)):
        return False
    if len(steps) == 1 and removed > _MIN_KEPT * contents.lengths[0]:
        return False  # emptied in between, and fuller by chance
    if not _keeps_what_it_gains(contents) and not _is_backlog(contents):
        return False
    return not slows_down(steps, contents.seconds)


def _keeps_what_it_gains(contents: Contents) -> bool:
    """Tell whether most of what was added in each interval is there at the end."""
    pairs = zip(contents.kept, contents.added, strict=True)
    return all(kept >= _MIN_KEPT * gained for kept, gained in pairs)


def _is_backlog(contents: Contents) -> bool:
    """Tell whether elements go in the order in which they came, but far fewer than come.

    What came first has gone by the end, yet in each interval the net growth is most of what was
    added, and part of what was there stays: so nothing was emptied and filled again.
    """
    fractions = [
        kept / max(gained, 1) for kept, gained in zip(contents.kept, contents.added, strict=True)
    ]
    if len(fractions) < _MIN_INTERVALS_OF_BACKLOG or any(b < a for a, b in pairwise(fractions)):
        return False
    return all(
        added - removed >= _MIN_NET_OF_BACKLOG * added and removed <= _MAX_TURNOVER * before
        for added, removed, before in zip(
            contents.added, contents.removed, contents.lengths, strict=False
        )
    )


def can_be_leak(lengths: Sequence[int], seconds: Sequence[float], *, is_born: bool) -> bool:
    """Tell whether a place with these lengths is a leak where all that was added has stayed.

    If not, `is_leak` says no whatever the elements, which take much longer to follow.
    """
    added = [max(0, step) for step in steps_of(lengths)]
    nothing, any_bytes = [0] * len(added), _HEAVY_BYTES * len(lengths)
    return is_leak(Contents(lengths, added, nothing, added, seconds, any_bytes, is_born))


def _rises(contents: Contents) -> bool:
    """Tell whether the length rises by enough in each interval; one in four may tell nothing."""
    steps = contents.steps
    quiet = sum(1 for step in steps if step <= 0)
    if steps[-1] <= 0 or quiet > len(steps) // 4 or min(steps) < 0 < quiet:
        return False
    enough = sum(steps) >= _MIN_ELEMENTS * (len(steps) - quiet) and steps[-1] >= _MIN_ELEMENTS
    if enough and _is_fair(steps, contents.seconds):
        return True
    is_heavy = contents.bytes_grown >= _HEAVY_BYTES * len(steps)
    return is_heavy and not sum(contents.removed) and len(steps) - contents.is_born >= 3


def _is_fair(steps: Sequence[int], seconds: Sequence[float]) -> bool:
    """Tell whether the last interval shows its share of the growth, by itself or for its length."""
    if steps[-1] >= _MIN_LAST_SHARE * sum(steps) / len(steps):
        return True
    mean_rate = sum(steps) / max(seconds[-1] - seconds[0], 1e-9)
    return rates(steps, seconds)[-1] >= _MIN_LAST_SHARE * mean_rate


def onset_of(lengths: Sequence[int]) -> int:
    """Return the position from which a length rises in every interval, 0 where that is too short.

    What did not grow at first may have begun to leak later; three intervals must show it.
    """
    onset = 0
    for position, (before, after) in enumerate(pairwise(lengths), start=1):
        if after <= before:
            onset = position
    return onset if len(lengths) - onset > _MIN_INTERVALS_SINCE_ONSET else 0


def rates(steps: Sequence[float], seconds: Sequence[float]) -> list[float]:
    """Return the growth a second in each interval."""
    return [
        step / max(after - before, 1e-9)
        for step, (before, after) in zip(steps, pairwise(seconds), strict=True)
    ]


def slows_down(steps: Sequence[float], seconds: Sequence[float]) -> bool:
    """Tell whether growth is running out: a cache that fills, keys that were nearly all seen.

    Both the growth a second and the growth an interval must tell it: intervals may differ on
    purpose, or because the machine is busy with other things in one of them.
    """
    if len(steps) < 3:
        series_of_both = (rates(steps, seconds), steps)
        return len(steps) == 2 and all(b <= _SETTLING_OF_TWO * a for a, b in series_of_both)
    for series in (rates(steps, seconds), steps):
        if series[-1] > _SETTLING * series[0] or series[-1] > min(series) * 1.2:
            return False
    first, last = steps[0], steps[-1]
    return first - last > _SIGMAS_OF_COUNTS * math.sqrt(max(first + last, 1))


def is_initial_load(contents: Contents) -> bool:
    """Tell whether most of what is there came before the second snapshot, at a higher rate."""
    series = rates(contents.steps, contents.seconds)
    return series[-1] < _LOADED * series[0]


def is_even(steps: Sequence[float]) -> bool:
    """Tell whether each step is about the mean.

    For what has no elements to follow. Four sizes in rising order come about by chance once in 24
    times, four in steps that are so even once in about 600 times.
    """
    mean = sum(steps) / len(steps)
    return all(abs(step - mean) <= _MAX_UNEVEN * mean for step in steps)
