"""The rows of one service: its pods, processes and clocks, and the tables that they fill."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

from benchmarks.simulated_fleet import heap_rows
from benchmarks.simulated_fleet.accusations import accuse, suspect_rows
from benchmarks.simulated_fleet.clocks import Clocks
from benchmarks.simulated_fleet.columns import process_columns, table_of
from benchmarks.simulated_fleet.heap import HeapModel
from benchmarks.simulated_fleet.hours import DAY_MICROSECONDS, Hours, hours_of
from benchmarks.simulated_fleet.lives import Pods, live
from benchmarks.simulated_fleet.plan import TABLE_NAMES, FleetPlan, ServicePlan
from benchmarks.simulated_fleet.process_rows import reading_offsets, reading_rows, verdict_rows
from benchmarks.simulated_fleet.writer import FolderWriter, day_of
from memlens.tables.schema import Table, table_named

__all__ = ("TABLES", "Simulation")

TABLES = tuple(map(table_named, TABLE_NAMES))
_HEAP_TABLES = {
    "types": heap_rows.TYPE_SHARES,
    "holders": heap_rows.HOLDER_SHARES,
    "allocations": heap_rows.ALLOCATION_SHARES,
}
_ROWS = 1 << 17  # of a part
_LOST = 0.01  # of the process-hours of a table
_GONE = 0.004  # of the hosts: none of their files is there
# What an older memlens did not write, in the files of the first days; optional columns only.
_OLDER = {
    "readings": frozenset({"malloc_bytes"}),
    "suspects": frozenset({"site"}),
    "allocations": frozenset({"allocated_count", "allocated_count_stderr"}),
}
_MICROSECONDS_AN_HOUR = 3_600_000_000


class Simulation:
    """One service of a fleet. ``number``: of the service, for its random numbers."""

    def __init__(self, plan: FleetPlan, service: ServicePlan, number: int) -> None:
        self.plan, self.service, self._number = plan, service, number
        self.pods = Pods.make(service, self._rng(0))
        self.lives = live(plan, service, self.pods, self._rng(1))
        self.clocks = Clocks.make(plan, service.pods, self._odd_machines(), self._rng(2))
        names = sorted({str(host) for host in self.lives.host[self.lives.end >= plan.end]})
        few = self._rng(3).permutation(len(names))[: 3 if plan.has_faults else 0]
        small = {names[one] for one in few}
        self.hours = hours_of(plan, self.lives, self.clocks, small, self._rng(4))
        self.accusations = accuse(plan, service, self.lives, self.hours, self._rng(5))
        self._models = {
            name: HeapModel(service, self.lives, plan.top, shares, self._rng(6, place))
            for place, (name, shares) in enumerate(_HEAP_TABLES.items())
        }
        self.gone_hosts = self._gone_hosts()
        _, self._host_order = np.unique(self.lives.host.astype(str), return_inverse=True)

    def _rng(self, *key: int) -> np.random.Generator:
        return np.random.default_rng([self.plan.seed, self._number, *key])

    def _odd_machines(self) -> list[int]:
        """Return the machines with the worst clocks: some of those that leak are among them."""
        if not self.plan.has_faults or self._number:
            return []
        leaking = np.flatnonzero(self.pods.leaks)
        healthy = np.flatnonzero(~self.pods.leaks & ~self.pods.is_known)
        many = len(leaking) >= 10
        return [int(leaking[0] if many else healthy[0]), int(healthy[1]), int(healthy[2]),
                int(leaking[1] if many else healthy[3])]  # fmt: skip

    def _gone_hosts(self) -> set[str]:
        if not self.plan.has_faults:
            return set()
        hosts = sorted({str(host) for host in self.lives.host})
        chosen = self._rng(7).random(len(hosts)) < _GONE
        return {host for host, is_gone in zip(hosts, chosen, strict=True) if is_gone}

    def kept(self, table: Table) -> np.ndarray:
        """Return which process-hours have a file of a table."""
        kept = np.ones(len(self.hours), bool)
        if table.name != "readings":
            kept &= self.hours.number > 0
        if self.plan.has_faults:
            kept &= self._rng(8, TABLES.index(table)).random(len(kept)) >= _LOST
            gone = np.array([host in self.gone_hosts for host in self.lives.host])
            kept &= ~gone[self.hours.at]
        return kept

    def write(self, writer: FolderWriter) -> None:
        """Write all tables."""
        for table in [table for table in TABLES if table.name in self.plan.tables]:
            kept = self.kept(table)
            older = self._older_days()
            for number in self._days(table):
                places = self._places(table, kept & ~self.hours.is_small, number)
                without = _OLDER.get(table.name, frozenset()) if number in older else frozenset()
                parts = (rows for rows, _ in self._parts(table, places, number))
                writer.merged(table, self.service.name, day_of(number), parts, without)
            self._write_small(writer, table, np.flatnonzero(kept & self.hours.is_small))

    def _older_days(self) -> set[int]:
        first = int(self.plan.begin // 86400)
        return {first, first + 1} if self.plan.has_faults and self.plan.days > 2 else set()

    def _days(self, table: Table) -> list[int]:
        days = np.unique(self.hours.day)
        if table.name == "readings":  # the first readings of an hour may be of the day before
            before = (self.hours.wall - _MICROSECONDS_AN_HOUR) // DAY_MICROSECONDS
            days = np.unique(np.concatenate([days, np.maximum(before, 0)]))
        return [int(day) for day in days]

    def _places(self, table: Table, kept: np.ndarray, number: int) -> np.ndarray:
        """Return the process-hours with rows of a day, in the order of a merge: by host, then time."""
        of_day = self.hours.day == number
        if table.name == "readings":
            of_day |= (self.hours.wall - _MICROSECONDS_AN_HOUR) // DAY_MICROSECONDS == number
        return self._sorted(np.flatnonzero(kept & of_day))

    def _sorted(self, places: np.ndarray) -> np.ndarray:
        at = self.hours.at[places]
        return places[np.lexsort((self.hours.wall[places], at, self._host_order[at]))]

    def _parts(self, table: Table, places: np.ndarray, day: int | None):
        """Yield rows of process-hours, and the place of each row; ``day``: rows of it only."""
        step = max(1, _ROWS // self._rows_an_hour(table))
        for start in range(0, len(places), step):
            chosen = places[start : start + step]
            columns, rows = self._columns(table, chosen)
            found = table_of(columns, table.names)
            if day is not None and table.name == "readings":
                is_of_day = np.asarray(columns["day"].cast(pa.int32())) == day
                found, rows = found.filter(pa.array(is_of_day)), rows[is_of_day]
            yield found, chosen[rows]

    def _rows_an_hour(self, table: Table) -> int:
        if table.name in _HEAP_TABLES:
            return self.plan.top + 1
        return {"readings": int(3600 // self.plan.reading_seconds), "verdicts": 3}.get(
            table.name, 1
        )

    def _columns(self, table: Table, places: np.ndarray) -> tuple[dict, np.ndarray]:
        """Return the columns of a table for some process-hours, and the number of each row's."""
        hours = self.hours.take(places)
        first = int(places[0]) if len(places) else 0
        rng = self._rng(9, TABLES.index(table), first)
        uptime = hours.true - self.lives.start[hours.at]
        offset = None
        if table.name == "readings":
            rows, offset = reading_offsets(hours, uptime, self.plan.reading_seconds)
            own = reading_rows(self.lives, hours, rows, offset, rng)
        elif table.name == "suspects":
            found = self.accusations.of(places, len(self.hours))
            rows, own = found.hour, suspect_rows(hours, found)
        elif table.name == "verdicts":
            found = self.accusations.of(places, len(self.hours))
            own = verdict_rows(self.lives, hours, *found.states(hours, rng), rng)
            rows = np.repeat(np.arange(len(hours)), 3)
        else:
            own, rows = self._heap_columns(table, hours, uptime, rng)
        return {
            **process_columns(self.service, self.lives, self.pods, hours, rows, offset),
            **own,
        }, rows

    def _heap_columns(self, table: Table, hours: Hours, uptime: np.ndarray, rng):
        sizes, rest = self._models[table.name].sizes(
            hours.at, hours.true, hours.leaked, hours.known
        )
        rows = np.repeat(np.arange(len(hours)), self.plan.top + 1)
        if table.name == "allocations":
            return heap_rows.allocation_rows(sizes, rest, uptime, rng), rows
        sizes *= rng.normal(1.0, 0.01, sizes.shape)
        make = heap_rows.type_rows if table.name == "types" else heap_rows.holder_rows
        return make(sizes, rest), rows

    def _write_small(self, writer: FolderWriter, table: Table, places: np.ndarray) -> None:
        for rows, of_row in self._parts(table, self._sorted(places), None):
            days = np.asarray(rows.column("day").cast(pa.int32()))
            # A file for each process-hour and day.
            starts = np.flatnonzero(np.diff(of_row, prepend=-1) | np.diff(days, prepend=-1))
            keys = [
                (self.service.name, day_of(days[start]), *self._name(int(of_row[start])))
                for start in starts
            ]
            writer.small(table, rows, keys, np.append(starts, rows.num_rows))

    def _name(self, place: int) -> tuple[str, str, str]:
        life = self.hours.at[place]
        moment = datetime.fromtimestamp(self.hours.wall[place] / 1e6, UTC)
        return self.lives.host[life], self.lives.process[life], f"{moment:%Y%m%dT%H%M%SZ}"
