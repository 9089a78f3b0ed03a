"""The command ``allocations``: shows or exports a saved profile or saved traces."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from memlens.allocations.profile.allocation_profile import AllocationProfile
from memlens.allocations.profile.rows import MEASURES
from memlens.allocations.tracing.trace_store import TraceStore
from memlens.cli.output import add_json, positive_integer, print_value
from memlens.cli.working import print_at_end
from memlens.errors import SnapshotFileError
from memlens.files import export, load

__all__ = ("add_allocations_command",)


def add_allocations_command(commands: Any) -> None:
    """Add the parser of the command to the subparsers of the command line."""
    parser = commands.add_parser(
        "allocations", help="show where memory was allocated, from a saved profile or saved traces"
    )
    parser.add_argument("file", metavar="FILE", help="a file of run --allocations -o, or of save()")
    parser.add_argument(
        "--export",
        metavar="PATH",
        help="export for another tool, in the format of the suffix of PATH",
    )
    parser.add_argument(
        "--by",
        choices=MEASURES,
        default="live_bytes",
        help="the number to sort by (default: live_bytes)",
    )
    parser.add_argument(
        "--limit",
        type=positive_integer,
        default=10,
        metavar="N",
        help="rows to show in a table (default: 10)",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--tree", action="store_true", help="show the call tree instead of tables")
    form.add_argument(
        "--lines",
        action="store_true",
        help="show the lines of the program's own files, what libraries allocate for them included",
    )
    add_json(parser)
    parser.set_defaults(command=_allocations)


def _allocations(arguments: argparse.Namespace) -> int:
    value = _load(arguments.file)
    if arguments.export:
        size = export(value, arguments.export)
        print_at_end(lambda: print(f"{arguments.export}: {size:,} bytes", file=sys.stderr))
    elif isinstance(value, TraceStore):
        print_value(value.top(), arguments.json, schema="traces")
    elif arguments.lines:
        lines = value.lines(arguments.by)
        text = f"{value.headline()}\n\n{lines.title}\n{lines.table(arguments.limit)}"
        document = lines.to_dict(arguments.limit)
        print_value(document, arguments.json, text, schema="allocation-lines")
    elif arguments.json:
        print_value(value, as_json=True, schema="allocations")
    else:
        tree = f"{value.headline()}\n\n{value.tree_text(arguments.by)}" if arguments.tree else None
        print_value(value, False, tree or value.text(arguments.limit, arguments.by))
    return 0


def _load(path: str) -> AllocationProfile | TraceStore:
    value = load(path)
    if isinstance(value, TraceStore):
        if not value.captures:
            raise SnapshotFileError(f"{path} contains no captures of traced memory")
        return value
    if isinstance(value, AllocationProfile):
        return value
    raise SnapshotFileError(
        f"{path} is a heap snapshot, not an allocation profile; use: memlens report {path}"
    )
