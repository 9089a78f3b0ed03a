"""The command that looks at saved allocations: allocations."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from memlens.allocations.profile import AllocationProfile
from memlens.allocations.tracing import TraceStore
from memlens.commands.output import add_json, print_value
from memlens.errors import SnapshotFileError
from memlens.files import export, load

__all__ = ("add_allocation_commands",)


def add_allocation_commands(commands: Any) -> None:
    """Add the parsers of the commands to the subparsers of the command line."""
    parser = commands.add_parser(
        "allocations", help="where memory was allocated: a saved profile, or saved traces"
    )
    parser.add_argument(
        "file", metavar="FILE", help="what run --allocations -o has kept, or save()"
    )
    parser.add_argument(
        "--export", metavar="PATH", help="write it for another tool, by the suffix of PATH"
    )
    add_json(parser)
    parser.set_defaults(command=_allocations)


def _allocations(arguments: argparse.Namespace) -> int:
    value = _load(arguments.file)
    if arguments.export:
        size = export(value, arguments.export)
        print(f"{arguments.export}: {size:,} bytes", file=sys.stderr)
    else:
        shown = value.top() if isinstance(value, TraceStore) else value
        print_value(shown, arguments.json)
    return 0


def _load(path: str) -> AllocationProfile | TraceStore:
    value = load(path)
    if isinstance(value, TraceStore):
        if not value.snapshots:
            raise SnapshotFileError(f"{path} holds traces without a snapshot: nothing to show")
        return value
    if isinstance(value, AllocationProfile):
        return value
    raise SnapshotFileError(
        f"{path} holds a heap snapshot, not allocations; use: memlens report {path}"
    )
