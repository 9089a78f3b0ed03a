"""Many processes side by side: their newest reports, and their suspects grouped by fingerprint.

Every name is loaded when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from memlens._lazy import lazy_exports

if TYPE_CHECKING:
    from memlens.fleet.fleet_report import FleetReport, read_fleet
    from memlens.fleet.groups import SuspectGroup, group_suspects
    from memlens.fleet.processes import FleetProcess, FleetSuspect

__all__ = (
    "FleetProcess",
    "FleetReport",
    "FleetSuspect",
    "SuspectGroup",
    "group_suspects",
    "read_fleet",
)

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "memlens.fleet.fleet_report": ("FleetReport", "read_fleet"),
        "memlens.fleet.groups": ("SuspectGroup", "group_suspects"),
        "memlens.fleet.processes": ("FleetProcess", "FleetSuspect"),
    },
)
