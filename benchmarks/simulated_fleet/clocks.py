"""The clocks of the machines: most are right, some are minutes or hours off, some years."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.simulated_fleet.plan import DAY, HOUR, FleetPlan

__all__ = ("Clocks",)

_YEAR = 365 * DAY


@dataclass(frozen=True)
class Clocks:
    """For each machine what its clock adds to the true time, before and after it was set."""

    before: np.ndarray
    after: np.ndarray
    set_at: np.ndarray
    what: dict[int, str]

    @classmethod
    def make(cls, plan: FleetPlan, machines: int, odd: list[int], rng: np.random.Generator):
        """Make clocks. ``odd``: the machines whose clocks are years off or set back, in this order."""
        offset = rng.normal(0.0, 0.2, machines)
        kind = rng.random(machines)
        minutes, hours = kind < 0.1, (kind >= 0.1) & (kind < 0.12)
        offset[minutes] = rng.normal(0.0, 180.0, int(minutes.sum()))
        offset[hours] = rng.uniform(HOUR, 11 * HOUR, int(hours.sum())) * rng.choice(
            [-1.0, 1.0], int(hours.sum())
        )
        what = {int(one): "minutes" for one in np.flatnonzero(minutes)}
        what |= {int(one): "hours" for one in np.flatnonzero(hours)}
        after, set_at = offset.copy(), np.full(machines, np.inf)
        middle = plan.begin + plan.days * DAY / 2
        for machine, (text, first, later) in zip(
            odd,
            (
                ("1970", -plan.begin, -plan.begin),
                ("years ahead", 3 * _YEAR, 3 * _YEAR),
                ("set back by two hours", 2 * HOUR, 0.0),
                ("hours ahead", 9 * HOUR, 9 * HOUR),
            ),
            strict=False,
        ):
            offset[machine], after[machine], what[machine] = first, later, text
            set_at[machine] = middle if first != later else np.inf
        return cls(offset, after, set_at, what)

    def wall(self, machine: np.ndarray, true: np.ndarray) -> np.ndarray:
        """Return what the clocks of machines show at true times."""
        is_set = true >= self.set_at[machine]
        return true + np.where(is_set, self.after[machine], self.before[machine])
