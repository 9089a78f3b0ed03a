"""Make a simulated fleet: write its tables, damage some of them, and return what is true."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.simulated_fleet import names
from benchmarks.simulated_fleet.faults import POISON, damage_files
from benchmarks.simulated_fleet.heap import CHANGED_TYPE
from benchmarks.simulated_fleet.plan import HOUR, FleetPlan, services_of
from benchmarks.simulated_fleet.simulation import Simulation
from benchmarks.simulated_fleet.truth import Damage, PlantedLeak, Truth
from benchmarks.simulated_fleet.writer import FolderWriter
from memlens.tables.schema import table_named

__all__ = ("make_fleet",)

_LONG_ENOUGH = 6 * HOUR


def make_fleet(
    folder: str | os.PathLike[str],
    *,
    seed: int = 1,
    pods: int = 1000,
    days: float = 14,
    **knobs: Any,
) -> Truth:
    """Write the tables of a fleet to a folder, which may not exist yet, and return what is true of it.

    ``pods=40, days=4`` takes about two seconds. ``knobs``: see `FleetPlan`.
    """
    plan = FleetPlan(seed=seed, pods=pods, days=days, **knobs)
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    writer = FolderWriter(place, np.random.default_rng([seed, 100]))
    parts = [Simulation(plan, service, number) for number, service in enumerate(services_of(plan))]
    for part in parts:
        part.write(writer)
    damage = damage_files(place, plan) if plan.has_faults else ()
    return _truth(plan, writer, parts, damage)


def _truth(
    plan: FleetPlan, writer: FolderWriter, parts: list[Simulation], damage: tuple[Damage, ...]
) -> Truth:
    shop = parts[0]
    lives = shop.lives
    type_names = names.types(plan.top)
    return Truth(
        folder=str(writer.folder),
        seed=plan.seed,
        service=shop.service.name,
        other_service=parts[1].service.name,
        releases=tuple(release.name for release in shop.service.releases),
        rolled_back=next(one.name for one in shop.service.releases if one.until is not None),
        leak=_planted(shop, names.LEAK, 0, lives.leak),
        known=_planted(shop, names.KNOWN, 1, lives.known),
        false=frozenset(one.fingerprint for one in (names.NEW_CACHE, *names.FALSE_SUSPECTS)),
        poison=POISON,
        clocks=_odd_clocks(shop),
        changes={
            "4.9.1": ("rss", type_names[CHANGED_TYPE]),
            "4.10.1": ("rss", *names.NEW_CACHE.growing_types),
        },
        near_limit=_near_limit(shop),
        hosts=sum(len(set(part.lives.host)) for part in parts),
        processes=sum(len(part.lives) for part in parts),
        process_hours=sum(int((part.hours.number > 0).sum()) for part in parts),
        rows=dict(writer.rows),
        file_bytes=dict(writer.bytes),
        files=dict(writer.files),
        damage=damage,
    )


def _planted(part: Simulation, text: names.SuspectText, number: int, rates) -> PlantedLeak | None:
    lives, plan = part.lives, part.plan
    has = rates > 0
    if not has.any():
        return None
    ran = (np.minimum(lives.end, plan.end) - lives.start >= _LONG_ENOUGH) & ~lives.is_job
    releases = np.unique(lives.release[has])
    hosts = set(lives.host[has & ran])
    of_releases = set(lives.host[np.isin(lives.release, releases) & ran])
    found = part.accusations
    seen = (found.suspect == number) & part.kept(table_named("suspects"))[found.hour]
    return PlantedLeak(
        fingerprint=text.fingerprint,
        holder=text.holder,
        release=part.service.releases[releases[0]].name,
        releases=tuple(part.service.releases[one].name for one in releases),
        hosts=frozenset(hosts),
        visible_hosts=frozenset(lives.host[part.hours.at[found.hour[seen]]]),
        share=len(hosts) / len(of_releases),
        growth_bytes_per_hour=float(np.median(rates[has])),
        since=float(lives.start[has].min()),
    )


def _odd_clocks(part: Simulation) -> dict[str, str]:
    what = part.clocks.what
    return {
        str(host): what[int(pod)]
        for host, pod in zip(part.lives.host, part.lives.pod, strict=True)
        if int(pod) in what
    }


def _near_limit(part: Simulation) -> tuple[tuple[str, float], ...]:
    lives, plan = part.lives, part.plan
    running = np.flatnonzero((lives.end >= plan.end) & ~lives.is_job)
    share = lives.used(running, np.full(len(running), plan.end)) / lives.limit[running]
    order = np.argsort(-share)[:20]
    return tuple((str(lives.host[running[one]]), float(share[one])) for one in order)
