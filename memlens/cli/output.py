"""Shared by all commands: options, reading of snapshots, printing of values as text or JSON."""

from __future__ import annotations

import argparse
import json
import re
import sys
from typing import Any

from memlens.allocations.profile.allocation_profile import AllocationProfile
from memlens.allocations.tracing.trace_store import TraceStore
from memlens.cli.json_schema import stamped
from memlens.cli.working import print_at_end
from memlens.errors import SnapshotFileError
from memlens.files import load
from memlens.heap.snapshot import HeapSnapshot
from memlens.report.terminal import show

__all__ = (
    "add_json",
    "add_known",
    "load_snapshot",
    "positive_integer",
    "positive_seconds",
    "positive_size",
    "print_value",
    "seconds_from_zero",
)

_KINDS = {AllocationProfile: "an allocation profile", TraceStore: "a file of allocation traces"}


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add the option ``--json`` to a command."""
    parser.add_argument("--json", action="store_true", help="print JSON")


def add_known(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which suspects are known: ``--ignore`` and ``--baseline``."""
    parser.add_argument(
        "--ignore", action="append", default=[], metavar="ID",
        help="leave out a suspect: its id, or a regular expression for its holder; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--baseline", metavar="FILE",
        help="say which suspects are new, known and gone: a file of --save-baseline, or the JSON of"
        " a report",
    )  # fmt: skip
    parser.add_argument("--save-baseline", metavar="FILE", help="write the suspects as a baseline")


def load_snapshot(path: str) -> HeapSnapshot:
    """Open a snapshot file. Raises ``SnapshotFileError`` for a file of another kind."""
    value = load(path)
    if not isinstance(value, HeapSnapshot):
        raise SnapshotFileError(
            f"{path} is {_KINDS[type(value)]}, not a heap snapshot; use: memlens allocations {path}"
        )
    return value


def positive_integer(text: str) -> int:
    """Convert the value of an option: a ``type`` for argparse."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive whole number")
    return number


def positive_seconds(text: str) -> float:
    """Convert the value of an option: a ``type`` for argparse."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not seconds > 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number of seconds")
    return seconds


def seconds_from_zero(text: str) -> float:
    """Convert the value of an option, which may be 0: a ``type`` for argparse."""
    return 0.0 if text == "0" else positive_seconds(text)


def positive_size(text: str) -> int:
    """Convert a size such as ``128MiB``, ``2GB`` or ``1000`` (bytes): a ``type`` for argparse."""
    found = re.fullmatch(r"(\d{1,15}(?:\.\d{1,9})?) ?([KMGT]?)(i?)B?", text.strip(), re.IGNORECASE)
    size = 0
    if found:
        step = 1024 if found[3] else 1000
        power = " KMGT".index(found[2].upper() or " ")
        size = int(float(found[1]) * step**power)
    if size < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size: write for example 128MiB")
    return size


def print_value(value: Any, as_json: bool, text: str | None = None, *, schema: str = "") -> None:
    """Print a value as JSON (a dict, or ``value.to_dict()``) or as ``text``, else ``str(value)``.

    ``schema``: which of `memlens.cli.json_schema.SCHEMAS` the JSON follows; it says so itself.
    """
    if as_json:
        document = value if isinstance(value, dict) else value.to_dict()
        plain = json.dumps(stamped(schema, document) if schema else document, indent=1)
        print_at_end(lambda: print(plain))
    else:
        shown = str(value) if text is None else text
        print_at_end(lambda: show(shown, sys.stdout))
