"""A small fleet written by hand: processes with what they report hour by hour."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from memlens.tables.schema import table_named
from memlens.tables.table_folder import write_rows

BEGIN = datetime(2026, 3, 2, tzinfo=UTC)
MIB = 1 << 20


@dataclass
class Life:
    """A process: its host and release, how long it runs, and what it reports each hour.

    ``suspects``: fingerprint -> the hours in which it is reported. ``types``: type -> bytes at the
    start and bytes an hour. ``skew``: what the clock of its host adds.
    """

    host: str
    release: str | None
    start_hour: float = 0.0
    hours: int = 30
    rss: int = 200 * MIB
    rss_an_hour: int = 0
    limit: int | None = 1024 * MIB
    suspects: dict[str, range] = field(default_factory=dict)
    types: dict[str, tuple[int, int]] = field(default_factory=lambda: {"dict": (10 * MIB, 0)})
    paths: dict[str, tuple[float, float]] = field(default_factory=dict)
    skew: timedelta = timedelta()
    confidence: str = "high"
    token: str = "a1"

    def rows(self, service):
        """Yield (table, row) of all hours."""
        for hour in range(1, self.hours + 1):
            time = BEGIN + timedelta(hours=self.start_hour + hour) + self.skew
            process = {
                "service": service, "release": self.release, "day": time.date(), "host": self.host,
                "process": f"{self.host}/8-{self.token}", "kind": "main", "python": "3.13.1",
                "memlens": "0.1.0", "time": time, "uptime_seconds": 3600.0 * hour,
            }  # fmt: skip
            rss = self.rss + self.rss_an_hour * hour
            yield "readings", process | {
                "rss_bytes": rss, "malloc_bytes": None, "limit_bytes": self.limit,
                "limit_source": "given", "limit_used_bytes": rss, "allocated_blocks": 1000,
                "full_collections": hour,
            }  # fmt: skip
            reported = [one for one, when in self.suspects.items() if hour in when]
            yield "verdicts", process | {
                "series": "heap", "state": "leak" if reported else "no leak",
                "confidence": self.confidence, "growth_bytes": 0, "slope_bytes_per_hour": None,
                "slope_low_bytes_per_hour": None, "slope_high_bytes_per_hour": None,
                "seconds_to_limit": None, "window_seconds": 3600.0 * hour, "snapshot_count": 5,
            }  # fmt: skip
            for rank, fingerprint in enumerate(reported, start=1):
                yield "suspects", process | {
                    "fingerprint": fingerprint, "rank": rank, "holder": f"app.{fingerprint}",
                    "holder_type": "dict", "held_by": f"module app.{fingerprint}",
                    "growing_types": ["app.Entry"], "pattern": "registry", "evidence": "it grows",
                    "suggestion": "Bound it.", "origin": "the program", "site": "put (app.py:3)",
                    "confidence": self.confidence, "count_growth": 10, "growth_bytes": MIB * hour,
                    "retained_bytes": MIB * hour, "window_seconds": 3600.0 * hour,
                }  # fmt: skip
            for rank, (name, (size, growth)) in enumerate(self.types.items(), start=1):
                yield "types", process | {
                    "type": name, "rank": rank, "count": 10, "size_bytes": size + growth * hour,
                    "native_bytes": 0,
                }  # fmt: skip
            for rank, (path, (live, error)) in enumerate(self.paths.items(), start=1):
                yield "allocations", process | {
                    "call_path": ["main (app.py:1)", path], "path_id": path, "site": path,
                    "rank": rank, "live_bytes": live, "live_bytes_stderr": error,
                    "live_count": 1.0, "live_count_stderr": 0.5, "allocated_bytes": 2.0 * live * hour,
                    "allocated_bytes_stderr": error, "allocated_count": 2.0,
                    "allocated_count_stderr": 1.0, "profile_seconds": 3600.0 * hour,
                }  # fmt: skip


def write_fleet(folder, lives=None, service="shop"):
    """Write the tables of some processes; by default a fleet of two releases with a new leak."""
    found = {}
    for number, life in enumerate(default_lives() if lives is None else lives):
        for table, row in life.rows(service):
            for name, value in row.items():
                found.setdefault((number, table), {}).setdefault(name, []).append(value)
    for (number, table), columns in found.items():
        write_rows(folder, table_named(table), columns, name=f"20260302T000000Z-8-a1-{number:08x}")
    return folder


def default_lives():
    """Return 12 hosts of release 1 and 12 of release 2, of which three leak."""
    old = [Life(f"one-{number}", "1.9") for number in range(12)]
    new = [
        Life(
            f"two-{number}", "1.10", start_hour=40.0 + number / 10,
            suspects={"leak-00000000aa": range(3, 31)} if number < 3 else {},
            rss_an_hour=10 * MIB if number < 3 else 0,
            types={"dict": (10 * MIB, 0), "app.Entry": (MIB, 8 * MIB if number < 3 else 0)},
            paths={"put (app.py:3)": (1000.0 * (number + 1), 30.0)},
        )
        for number in range(12)
    ]  # fmt: skip
    return [*old, *new]
