"""Many processes side by side: from their newest reports, or from the tables of a whole fleet.

Every name is loaded when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from memlens._lazy import lazy_exports

if TYPE_CHECKING:
    from memlens.fleet.fleet_report import FleetReport, read_fleet
    from memlens.fleet.groups import SuspectGroup, group_suspects
    from memlens.fleet.processes import FleetProcess, FleetSuspect
    from memlens.fleet.table_report import TableReport, read_tables

__all__ = (
    "FleetProcess",
    "FleetReport",
    "FleetSuspect",
    "SuspectGroup",
    "TableReport",
    "group_suspects",
    "read_fleet",
    "read_tables",
)

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "memlens.fleet.fleet_report": ("FleetReport", "read_fleet"),
        "memlens.fleet.groups": ("SuspectGroup", "group_suspects"),
        "memlens.fleet.processes": ("FleetProcess", "FleetSuspect"),
        "memlens.fleet.table_report": ("TableReport", "read_tables"),
    },
)
