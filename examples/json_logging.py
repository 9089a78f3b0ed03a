"""A service whose log has a line of JSON for each snapshot and for each leak.

python examples/json_logging.py
"""

from __future__ import annotations

import json
import logging
import sys
import tempfile

import memlens

SESSIONS: dict[int, bytes] = {}


class JSONFormatter(logging.Formatter):
    """Writes a record as JSON, with what memlens tells in its attribute ``memlens``."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line."""
        facts = getattr(record, "memlens", {})
        return json.dumps({"level": record.levelname, "message": record.getMessage(), **facts})


def serve(count: int) -> None:
    """Stand for the work of the service: sessions that are never deleted."""
    for _ in range(count):
        SESSIONS[len(SESSIONS)] = bytes(1000)


def main() -> None:
    """Run the service."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JSONFormatter())
    logger = logging.getLogger("memlens")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    with (
        tempfile.TemporaryDirectory() as folder,
        memlens.MemoryProfiler(folder, on_alert=lambda report: None) as profiler,
    ):
        for _ in range(3):
            serve(2000)
            profiler.take_snapshot("manual")
        report = profiler.report()
    suspect = next(iter(report.leaks or ()), None)
    print(json.dumps({"message": "the end", "holder": suspect and suspect.holder}))


if __name__ == "__main__":
    main()
