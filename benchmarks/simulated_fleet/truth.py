"""Truth: what a simulated fleet is, against which answers are judged."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ("Damage", "PlantedLeak", "Truth")


@dataclass(frozen=True, slots=True)
class PlantedLeak:
    """A leak of the fleet.

    ``release``: the first that has it; ``hosts``: the pods in which it grows; ``visible_hosts``: those
    of them with a suspect in a file that can be read; ``share``: of the pods of its releases that ran
    for six hours or more. ``growth_bytes_per_hour``: the median over its processes. ``since``: the true
    time at which the first process of it started, in seconds since the epoch.
    """

    fingerprint: str
    holder: str
    release: str
    releases: tuple[str, ...]
    hosts: frozenset[str]
    visible_hosts: frozenset[str]
    share: float
    growth_bytes_per_hour: float
    since: float


@dataclass(frozen=True, slots=True)
class Damage:
    """A file that was damaged, left over or made by a newer memlens: readers must not use its rows.

    ``is_named``: readers must say that they skipped it; otherwise they ignore it.
    """

    path: str
    what: str
    is_named: bool


@dataclass(frozen=True, slots=True)
class Truth:
    """What is true of a fleet.

    ``leak`` is None in a healthy twin; ``known`` is the leak that every release has, ``false`` are the
    fingerprints of accusations by chance. ``clocks``: hosts whose clock is wrong, with what it does.
    ``changes``: for each release what it changes by more than noise, compared with the release
    before: ``rss``, and types. ``near_limit``: the pods nearest to their limits at the end, with the
    share that they use, the nearest first. ``rows``, ``files`` and ``file_bytes``: by table.
    """

    folder: str
    seed: int
    service: str
    other_service: str
    releases: tuple[str, ...]
    rolled_back: str
    leak: PlantedLeak | None
    known: PlantedLeak | None
    false: frozenset[str]
    poison: str
    clocks: dict[str, str]
    changes: dict[str, tuple[str, ...]]
    near_limit: tuple[tuple[str, float], ...]
    hosts: int
    processes: int
    process_hours: int
    rows: dict[str, int]
    file_bytes: dict[str, int]
    files: dict[str, int]
    damage: tuple[Damage, ...] = ()
