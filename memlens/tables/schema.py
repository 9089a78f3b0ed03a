"""The schema of the tables: their columns, types, units and meanings, for every engine that reads them.

A row says of which process it is and when; what is in one column is never in the name of another.
Nothing here needs pyarrow.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ("SCHEMA_VERSION", "TABLES", "Column", "Table", "table_named")

SCHEMA_VERSION = (
    1  # raised where a column changes its meaning or goes away; new columns do not raise it
)

# The types: what Arrow calls them. ``time`` is timestamp[us, UTC], ``date`` is date32.
TYPES = ("text", "integer", "number", "boolean", "time", "date", "texts")


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table. ``type`` is one of `TYPES`; ``is_optional``: null is unknown."""

    name: str
    type: str
    meaning: str
    is_optional: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table: what one of its rows is, and its columns, those of the process first."""

    name: str
    row: str
    columns: tuple[Column, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(column.name for column in self.columns)


def _process_columns() -> tuple[Column, ...]:
    return (
        Column("service", "text", "the name of the service"),
        Column("release", "text", "the release that runs", True),
        Column("day", "date", "the day of `time` in UTC, by the clock of the process"),
        Column("host", "text", "the name of the machine, container or pod"),
        Column("process", "text", "the process: `host/pid-token`, equal to no other process"),
        Column("kind", "text", "`main`, `gunicorn worker`, ...: see processes.md"),
        Column("python", "text", "the version of Python: `3.13.1`"),
        Column("memlens", "text", "the version of memlens"),
        Column("time", "time", "when the row was observed, by the clock of the process"),
        Column(
            "uptime_seconds",
            "number",
            "seconds since the process began, by a clock that is never set: durations are told by"
            " this column only; null: a file was exported that does not tell it",
            True,
        ),
    )


def _table(name: str, row: str, *columns: Column) -> Table:
    return Table(name, row, (*_process_columns(), *columns))


READINGS = _table(
    "readings",
    "a reading of the memory of a process",
    Column("rss_bytes", "integer", "resident memory"),
    Column("malloc_bytes", "integer", "what malloc has in use", True),
    Column("limit_bytes", "integer", "the memory at which the process ends", True),
    Column("limit_source", "text", "who sets the limit: `given`, `cgroup-v2`, `physical`, ..."),
    Column("limit_used_bytes", "integer", "what counts against the limit now", True),
    Column("allocated_blocks", "integer", "blocks that Python has allocated"),
    Column("full_collections", "integer", "full garbage collections since the start"),
)

VERDICTS = _table(
    "verdicts",
    "what memlens says of a process: of the trend of one series, or of its heap",
    Column("series", "text", "`heap`, or what the detector follows: `rss`, `blocks`, ..."),
    Column(
        "state",
        "text",
        "of `heap`: `leak`, `unexplained growth`, `no leak`, `unknown`; else `warming`, `stable`,"
        " `growing`, `leak`",
    ),
    Column("confidence", "text", "of `heap`: `high`, `medium`, `low`; else a number from 0 to 1"),
    Column(
        "growth_bytes",
        "integer",
        "the growth since the first snapshot or the start of the trend; of `blocks` in blocks, as"
        " the slope is",
    ),
    Column("slope_bytes_per_hour", "number", "the slope of the trend", True),
    Column("slope_low_bytes_per_hour", "number", "the lower end of its 99.9 % interval", True),
    Column("slope_high_bytes_per_hour", "number", "the upper end of its 99.9 % interval", True),
    Column("seconds_to_limit", "number", "the time until the limit, while a leak is certain", True),
    Column("window_seconds", "number", "the time over which this was observed"),
    Column("snapshot_count", "integer", "of `heap`: how many snapshots were compared; else 0"),
)

SUSPECTS = _table(
    "suspects",
    "a holder that grows in a process",
    Column("fingerprint", "text", "equal for the same leak in every process"),
    Column("rank", "integer", "1 is the largest of the process"),
    Column("holder", "text", "the container that grows"),
    Column("holder_type", "text", "its type"),
    Column("held_by", "text", "the path from a root to it"),
    Column("growing_types", "texts", "what it gained, most first"),
    Column("pattern", "text", "the pattern that was recognised", True),
    Column("evidence", "text", "what shows it"),
    Column("suggestion", "text", "what to do"),
    Column("origin", "text", "whose code holds it: `the program`, or a library with its version"),
    Column("site", "text", "the line that allocated most of it: `function (file:line)`", True),
    Column("confidence", "text", "`high`, `medium`, `low`"),
    Column("count_growth", "integer", "elements gained over the window"),
    Column("growth_bytes", "integer", "what it grew by over the window"),
    Column("retained_bytes", "integer", "what it retains"),
    Column("window_seconds", "number", "from the first to the last snapshot that was compared"),
)

TYPES_TABLE = _table(
    "types",
    "the objects of one type in a heap",
    Column("type", "text", "the qualified name; null: all other types together", True),
    Column("rank", "integer", "1 has the largest size; 0: all others"),
    Column("count", "integer", "objects"),
    Column("size_bytes", "integer", "their own size, without what they refer to"),
    Column("native_bytes", "integer", "of it, native memory and memory of devices"),
)

HOLDERS = _table(
    "holders",
    "a named holder in a heap, with what it alone keeps alive; what a holder below it keeps alive is in"
    " the row of that one, so no byte is in two rows",
    Column(
        "holder",
        "text",
        "its place, equal in every process; null: all others, and what no holder alone keeps alive",
        True,
    ),
    Column("rank", "integer", "1 retains most; 0: all others"),
    Column("type", "text", "its type; null: all others", True),
    Column("count", "integer", "objects that it keeps alive, itself included"),
    Column("size_bytes", "integer", "what it retains"),
    Column("native_bytes", "integer", "of it, native memory and memory of devices"),
)

_ESTIMATE = "an estimate from samples since the start of the profile"
ALLOCATIONS = _table(
    "allocations",
    "a call path that allocated memory; null: all other paths together",
    Column(
        "call_path",
        "texts",
        "`function (file:line)`, the outermost call first; files without the folders they are"
        " installed in",
        True,
    ),
    Column(
        "path_id", "text", "a hash of the call path, equal in every process; null: all others", True
    ),
    Column("site", "text", "the last frame of the path", True),
    Column("rank", "integer", "1 has most live bytes; 0: all others"),
    Column("live_bytes", "number", "what is still allocated: an estimate from samples"),
    Column("live_bytes_stderr", "number", "its standard error"),
    Column("live_count", "number", "blocks still allocated: an estimate from samples"),
    Column("live_count_stderr", "number", "its standard error"),
    Column("allocated_bytes", "number", f"what was allocated: {_ESTIMATE}", True),
    Column("allocated_bytes_stderr", "number", "its standard error", True),
    Column("allocated_count", "number", f"blocks that were allocated: {_ESTIMATE}", True),
    Column("allocated_count_stderr", "number", "its standard error", True),
    Column("profile_seconds", "number", "how long the profile has run"),
)

_SNAPSHOT = Column("snapshot", "text", "the snapshot: `host/pid-token/time in microseconds`")
NODES = _table(
    "nodes",
    "an object or native block of a whole heap",
    _SNAPSHOT,
    Column("node", "integer", "its number in the snapshot, from 0: the process"),
    Column("object_id", "integer", "its address: equal in two snapshots while it lives"),
    Column("type", "text", "the qualified name of its type"),
    Column("size_bytes", "integer", "its own size"),
    Column("is_native", "boolean", "whether it is native memory or memory of a device"),
    Column("retained_bytes", "integer", "what it alone keeps alive", True),
    Column("root", "text", "the root that refers to it: `module app`; null: none", True),
)

EDGES = _table(
    "edges",
    "a reference from one node of a whole heap to another",
    _SNAPSHOT,
    Column("source", "integer", "the number of the node that refers"),
    Column("target", "integer", "the number of the node that is referred to"),
    Column(
        "label",
        "text",
        "`.attribute`, `[key]`, ... without values unless they were asked for",
        True,
    ),
)

TABLES = (READINGS, VERDICTS, SUSPECTS, TYPES_TABLE, HOLDERS, ALLOCATIONS, NODES, EDGES)


def table_named(name: str) -> Table:
    """Return a table by its name. Raises ``KeyError`` for another name."""
    return {table.name: table for table in TABLES}[name]
