"""The processes of a service: which pod runs which release from when to when, and how each ends."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from benchmarks.simulated_fleet.load import leaked_seconds, load
from benchmarks.simulated_fleet.plan import DAY, HOUR, FleetPlan, Release, ServicePlan

__all__ = ("Lives", "Pods", "live")

_MIB = 1 << 20
_WAVES = ((0.05, 0.0), (0.25, 0.4), (0.6, 0.7), (1.0, 1.0))  # share of pods, share of the rollout
_CRASHES_A_DAY = 0.02
_MOVES_A_DAY = 0.02
_JOBS_A_DAY = 0.25
_LEAK_MIB_AN_HOUR = 10.0
_KNOWN_MIB_AN_HOUR = 1.5


@dataclass(frozen=True)
class Pods:
    """What stays with the place of a pod, whatever runs in it: an array with a value for each."""

    limit: np.ndarray
    is_hot: np.ndarray
    python: np.ndarray
    leaks: np.ndarray
    is_known: np.ndarray

    @classmethod
    def make(cls, service: ServicePlan, rng: np.random.Generator) -> Pods:
        """Make the pods of a service."""
        count = service.pods
        order = rng.permutation(count)
        leaks, known, hot = (np.zeros(count, bool) for _ in range(3))
        leaking, old = (
            _count_of(service.leak_share, count, 2),
            _count_of(service.known_share, count, 1),
        )
        leaks[order[:leaking]] = True
        known[order[-old:] if old else []] = True
        hot[rng.random(count) < 0.02] = True
        return cls(
            limit=rng.choice([512, 1024, 2048], count, p=[0.3, 0.5, 0.2]).astype(np.int64) * _MIB,
            is_hot=hot & ~leaks & ~known,
            python=rng.integers(0, 2, count),
            leaks=leaks,
            is_known=known,
        )


def _count_of(share: float, count: int, least: int) -> int:
    return max(least, round(share * count)) if share else 0


@dataclass
class Lives:
    """Processes by column: an array with a value for each process; times are true times.

    ``pod``: the place of the pod; ``release``: its number; ``leak``, ``known``: bytes an hour.
    ``warm``: the time constant of its caches; ``is_job``: a process that ends within the hour.
    """

    pod: np.ndarray
    release: np.ndarray
    start: np.ndarray
    end: np.ndarray
    host: np.ndarray
    process: np.ndarray
    limit: np.ndarray
    base: np.ndarray
    warm: np.ndarray
    leak: np.ndarray
    known: np.ndarray
    is_job: np.ndarray
    ended: np.ndarray

    def used(self, at: np.ndarray, true: np.ndarray) -> np.ndarray:
        """Return the memory that processes ``at`` use at true times, in bytes, without noise."""
        return _used(self.limit[at], self.base[at], self.warm[at], self.start[at], true) + (
            (self.leak[at] + self.known[at]) / HOUR * leaked_seconds(self.start[at], true)
        )

    def __len__(self) -> int:
        return len(self.pod)


def _used(limit, base, warm, start, true):
    cached = 0.12 * (1.0 - np.exp(-np.maximum(true - start, 0.0) / warm))
    return limit * (base + cached + 0.05 * load(true))


def live(plan: FleetPlan, service: ServicePlan, pods: Pods, rng: np.random.Generator) -> Lives:
    """Let the pods of a service run: rollouts, crashes, moves to other machines, kills, jobs."""
    rows: list[tuple] = []
    rollouts = [_rollout(plan, release, service.pods, rng) for release in service.releases]
    for pod in range(service.pods):
        for release, start, end in _deployments(plan, service, rollouts, pod):
            _run(plan, service, pods, rng, rows, pod, release, start, end)
    columns = list(zip(*rows, strict=True))
    kinds = {"host": str, "process": str, "ended": str}
    return Lives(**{
        one.name: np.array(column, dtype=object if one.name in kinds else None)
        for one, column in zip(fields(Lives), columns, strict=True)
    })  # fmt: skip


def _rollout(
    plan: FleetPlan, release: Release, pods: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return when each pod gets a release and when it is rolled back; inf is never."""
    start = plan.begin + release.at * plan.days * DAY
    if release.at == 0.0:  # it has been running for some time
        return plan.begin - rng.uniform(0.0, 30 * HOUR, pods), np.full(pods, np.inf)
    takes = 0.04 * plan.days * DAY
    place = rng.permutation(pods) / pods
    got = np.full(pods, np.inf)
    for share, when in reversed(_WAVES):
        got[place < share] = start + when * takes
    got += rng.uniform(0.0, 0.1 * takes, pods)
    back = np.full(pods, np.inf)
    if release.until is not None:
        end = plan.begin + release.until * plan.days * DAY
        got[got > start + 0.5 * takes] = np.inf  # the canary and the first wave only
        back[:] = end + rng.uniform(0.0, 0.1 * takes, pods)
    return got, back


def _deployments(plan, service, rollouts, pod):
    """Yield the release, start and end of each deployment of a pod."""
    events = []
    for number, (got, back) in enumerate(rollouts):
        if np.isfinite(got[pod]):
            events.append((got[pod], number))
            if np.isfinite(back[pod]):
                events.append((back[pod], number - 1))
    events.sort()
    for (start, number), (end, _) in zip(events, [*events[1:], (plan.end, -1)], strict=True):
        if end > start:
            yield number, start, end


def _run(plan, service, pods, rng, rows, pod, number, start, end):
    """Add the processes of one deployment of a pod."""
    release = service.releases[number]
    limit = pods.limit[pod]
    leak = (
        _LEAK_MIB_AN_HOUR * _MIB * rng.lognormal(0.0, 0.25)
        if pods.leaks[pod] and release.has_leak
        else 0.0
    )
    known = _KNOWN_MIB_AN_HOUR * _MIB * rng.lognormal(0.0, 0.25) if pods.is_known[pod] else 0.0
    host = _host(service, number, rng)
    while start < end:
        base = (0.66 if pods.is_hot[pod] else 0.33) * release.base * rng.lognormal(0.0, 0.06)
        base = min(base, 0.74)
        warm = rng.uniform(1.5, 5.0) * HOUR
        stop, why = end, "deploy" if end < plan.end else "runs"
        crash = start + rng.exponential(DAY / _CRASHES_A_DAY)
        move = start + rng.exponential(DAY / _MOVES_A_DAY)
        kill = _killed_at(limit, base, warm, leak + known, start, end)
        for when, what in ((crash, "crash"), (move, "move"), (kill, "out of memory")):
            if when < stop:
                stop, why = when, what
        token = f"{rng.integers(1 << 20, 1 << 28):x}"
        rows.append((pod, number, start, stop, host, f"{host}/{service.pid}-{token}", limit, base,
                     warm, leak, known, False, why))  # fmt: skip
        _add_jobs(plan, rng, rows, pod, number, start, stop, host, limit)
        if why == "move":
            host = _host(service, number, rng)
        start = stop + rng.uniform(5.0, 90.0)


def _add_jobs(plan, rng, rows, pod, number, start, stop, host, limit):
    for _ in range(rng.poisson(_JOBS_A_DAY * (stop - start) / DAY)):
        begin = rng.uniform(start, stop)
        end = min(begin + rng.uniform(300.0, 3000.0), stop)
        process = f"{host}/{rng.integers(100, 30000)}-{rng.integers(1 << 20, 1 << 28):x}"
        rows.append((pod, number, begin, end, host, process, limit, 0.08, HOUR, 0.0, 0.0, True,
                     "done"))  # fmt: skip


def _killed_at(limit, base, warm, rate, start, end):
    """Return when a process reaches its limit, to a quarter of an hour; inf if it does not."""
    if not rate:
        return np.inf
    true = np.arange(start, end, HOUR / 4)
    used = _used(limit, base, warm, start, true) + rate / HOUR * leaked_seconds(start, true)
    over = np.flatnonzero(used >= limit)
    return float(true[over[0]]) if len(over) else np.inf


def _host(service: ServicePlan, number: int, rng: np.random.Generator) -> str:
    letters = "bcdfghjklmnpqrstvwxz2456789"
    name = "".join(letters[one] for one in rng.integers(0, len(letters), 6))
    release = f"{(hash_of(service.name) + 7919 * number) % (1 << 32):08x}"
    return f"{service.name.replace(' ', '-')}-{release}-{name}"


def hash_of(text: str) -> int:
    """Return a number for a text, equal in each run of Python."""
    return sum(ord(letter) * 31**place for place, letter in enumerate(text))
