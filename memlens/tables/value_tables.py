"""The tables of one value, for export: which it has, and the process that it tells."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from math import isfinite

from memlens._options import shown
from memlens.allocations.profile.allocation_profile import AllocationProfile
from memlens.errors import OptionError
from memlens.heap.snapshot import HeapSnapshot
from memlens.leaks.leak_report import LeakReport
from memlens.process.identity import IDENTITY_FACT, ProcessIdentity, identify
from memlens.process.start import TOKEN_FACT, UPTIME_FACT
from memlens.tables.allocation_paths import allocation_columns
from memlens.tables.heap_types import type_columns
from memlens.tables.holders import holder_columns
from memlens.tables.process_columns import Columns, ProcessColumns
from memlens.tables.schema import Table, table_named
from memlens.tables.suspects import suspect_columns
from memlens.tables.verdicts import verdict_columns
from memlens.tables.whole_heap import edge_batches, node_batches

__all__ = ("TABLES_OF", "chosen_table", "process_of", "snapshot_uptime", "table_batches")

Exported = AllocationProfile | HeapSnapshot | LeakReport

# The tables of each kind of value; the first is written where none is named.
TABLES_OF: dict[type, tuple[str, ...]] = {
    AllocationProfile: ("allocations",),
    HeapSnapshot: ("types", "holders", "nodes", "edges"),
    LeakReport: ("suspects", "verdicts"),
}


def chosen_table(name: str | None, choices: Sequence[str]) -> Table:
    """Return a table by its name, the first of the choices for None. Raises ``OptionError``."""
    if name is not None and name not in choices:
        raise OptionError(f"table is {shown(name)}: it must be one of {', '.join(choices)}")
    return table_named(name or choices[0])


def process_of(value: Exported) -> ProcessColumns:
    """Return the columns of the process that a value is of, as far as the value tells it."""
    token = None
    if isinstance(value, AllocationProfile):
        identity, pid, python = None, value.facts.pid, value.facts.python
    elif isinstance(value, HeapSnapshot):
        identity = ProcessIdentity.from_facts(value.facts.get(IDENTITY_FACT))
        pid, python = value.pid, str(value.facts.get("python", ""))
        token = _text(value.facts.get(TOKEN_FACT))
    else:
        identity, pid, python = value.identity, value.pid, ""
    if identity is None and pid == os.getpid():
        identity = identify()
    if identity is None:
        return ProcessColumns.unknown(pid, python=python)
    return ProcessColumns.of(identity, token=token, python=python or None)


def _text(fact: object) -> str | None:
    """Return a fact of a file, if it is a text; its length is bounded as that of all facts is."""
    return fact if isinstance(fact, str) else None


def snapshot_uptime(snapshot: HeapSnapshot) -> float | None:
    """Return the uptime of the process at a snapshot, as its profiler noted it; else None."""
    uptime = snapshot.facts.get(UPTIME_FACT)
    return max(0.0, uptime) if isinstance(uptime, float) and isfinite(uptime) else None


def table_batches(value: Exported, table: Table, process: ProcessColumns) -> Iterator[Columns]:
    """Yield the rows of a value in a table that it has: see `TABLES_OF`."""
    if isinstance(value, AllocationProfile):
        yield allocation_columns(value, process)
    elif isinstance(value, LeakReport):
        moment = time.time() if value.timestamp is None else value.timestamp
        if table.name == "verdicts":
            yield verdict_columns([value], process, time=moment)
        else:
            yield suspect_columns(value, process, time=moment)
    else:
        uptime = snapshot_uptime(value)
        if table.name == "types":
            yield type_columns(value, process, uptime_seconds=uptime)
        elif table.name == "holders":
            yield holder_columns(value, process, uptime_seconds=uptime)
        elif table.name == "nodes":
            yield from node_batches(value, process, uptime_seconds=uptime)
        else:
            yield from edge_batches(value, process, uptime_seconds=uptime)
