"""What is in the heaps: the sizes of types, holders and call paths of each process at each hour."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.simulated_fleet.lives import Lives
from benchmarks.simulated_fleet.load import load
from benchmarks.simulated_fleet.plan import ServicePlan

__all__ = ("CHANGED_TYPE", "HeapModel", "Shares")

CHANGED_TYPE = 7  # a release enlarges it in each process
_REST = 0.06  # of the heap: what is in no row of its own


@dataclass(frozen=True)
class Shares:
    """How the leaks and the new cache are divided among the rows: pairs of a row and its share."""

    leak: tuple[tuple[int, float], ...]
    known: tuple[tuple[int, float], ...]
    cache: tuple[tuple[int, float], ...]


class HeapModel:
    """The sizes of the rows of one table. ``count``: how many rows there are before the rest."""

    def __init__(
        self,
        service: ServicePlan,
        lives: Lives,
        count: int,
        shares: Shares,
        rng: np.random.Generator,
    ) -> None:
        self.count = count
        self._lives = lives
        self._shares = shares
        sizes = 1.0 / np.arange(2.0, count + 2.0)
        only_by_leak = {row for row, _ in (*shares.leak[:1], *shares.known[:1], *shares.cache[:1])}
        sizes[list(only_by_leak)] *= 0.002
        self._sizes = sizes / sizes.sum()
        moves = rng.choice(3, count, p=[0.6, 0.25, 0.15])  # constant, warms up, follows the load
        self._warms, self._loads = moves == 1, moves == 2
        self._of_life = np.exp(rng.normal(0.0, 0.08, (len(lives), count))).astype(np.float32)
        self._bases = np.array([release.base for release in service.releases])
        self._factor = np.ones((len(self._bases), count))
        self._factor[:, CHANGED_TYPE] = [release.changed for release in service.releases]
        self._has_cache = np.array([release.has_new_cache for release in service.releases])

    def sizes(
        self, at: np.ndarray, true: np.ndarray, leaked: np.ndarray, known: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the sizes in bytes, a row for each process ``at`` a time, and those of the rest.

        ``leaked``, ``known``: what the leaks hold there.
        """
        lives = self._lives
        uptime = true - lives.start[at]
        warm = (1.0 - np.exp(-uptime / lives.warm[at]))[:, None]
        base = lives.base[at] / self._bases[lives.release[at]]
        heap = 0.5 * lives.limit[at] * np.minimum(base, 0.4)
        found = np.repeat(self._sizes[None, :], len(at), axis=0)
        found *= self._of_life[at]
        found *= self._factor[lives.release[at]]
        found *= np.where(self._warms, 0.3 + 0.7 * warm, 1.0)
        found *= np.where(self._loads, load(true)[:, None], 1.0)
        found *= heap[:, None]
        cache = 0.02 * lives.limit[at] * warm[:, 0] * self._has_cache[lives.release[at]]
        for held, shares in (
            (leaked, self._shares.leak),
            (known, self._shares.known),
            (cache, self._shares.cache),
        ):
            for row, share in shares:
                found[:, row] += held * share
        return found, _REST * heap * (0.95 + 0.05 * warm[:, 0])
