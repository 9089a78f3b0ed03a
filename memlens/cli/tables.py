"""The command ``tables``: merge the files of a table folder, show its schema, write whole heaps."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from memlens._table import columns
from memlens._text import fitted, format_bytes, format_count
from memlens.cli.output import (
    add_json,
    load_snapshot,
    positive_size,
    print_value,
    seconds_from_zero,
)
from memlens.tables.schema import SCHEMA_VERSION, TABLES, Column, Table
from memlens.tables.schema_text import unit_of

__all__ = ("add_tables_command",)


def add_tables_command(commands: Any) -> None:
    """Add the parser of the command to the subparsers of the command line."""
    parser = commands.add_parser(
        "tables",
        help="merge and describe the tables that profilers write; write whole heaps to them",
    )
    actions = parser.add_subparsers(required=True, metavar="ACTION", dest="action")
    _add_merge(actions)
    _add_schema(actions)
    _add_heap(actions)


def _add_merge(actions: Any) -> None:
    merge = actions.add_parser("merge", help="merge the small files of a table folder into few")
    merge.add_argument("folder", metavar="DIR", help="a local table folder")
    merge.add_argument(
        "--older-than", type=seconds_from_zero, default=600.0, metavar="SECONDS",
        help="leave files that were written since then (default: 600)",
    )  # fmt: skip
    merge.add_argument(
        "--target-size", type=positive_size, default=128 << 20, metavar="SIZE",
        help="about how large merged files become (default: 128MiB)",
    )  # fmt: skip
    add_json(merge)
    merge.set_defaults(command=_merge)


def _add_schema(actions: Any) -> None:
    schema = actions.add_parser("schema", help="show the columns of the tables, and what they mean")
    add_json(schema)
    schema.set_defaults(command=_schema)


def _add_heap(actions: Any) -> None:
    heap = actions.add_parser(
        "heap", help="write the nodes and edges of whole snapshots to a table folder"
    )
    heap.add_argument("snapshots", nargs="+", metavar="SNAPSHOT", help="a snapshot file")
    heap.add_argument("folder", metavar="DIR", help="the table folder; it is made if it is missing")
    heap.add_argument("--service", help="the service (default: MEMLENS_SERVICE, or the program)")
    heap.add_argument("--release", help="the release (default: MEMLENS_RELEASE)")
    add_json(heap)
    heap.set_defaults(command=_heap)


def _merge(arguments: argparse.Namespace) -> int:
    from memlens.tables.merging import merge_tables

    report = merge_tables(
        arguments.folder, older_than=arguments.older_than, target_bytes=arguments.target_size
    )
    print_value(report, arguments.json, schema="tables-merge")
    return 0


def _schema(arguments: argparse.Namespace) -> int:
    value = {"schema_version": SCHEMA_VERSION, "tables": [_table_facts(one) for one in TABLES]}
    common = [one for one in TABLES[0].columns if all(one in table.columns for table in TABLES)]
    parts = [
        f"Schema version {SCHEMA_VERSION}",
        "Each row of each table begins with these columns:\n" + _columns_text(common),
    ]
    for table in TABLES:
        others = [column for column in table.columns if column not in common]
        parts.append(fitted(f"{table.name}: a row is {table.row}.") + f"\n{_columns_text(others)}")
    print_value(value, arguments.json, "\n\n".join(parts), schema="tables-schema")
    return 0


def _table_facts(table: Table) -> dict[str, Any]:
    facts = [
        {
            "name": column.name,
            "type": column.type,
            "unit": unit_of(column),
            "is_optional": column.is_optional,
            "meaning": column.meaning,
        }
        for column in table.columns
    ]
    return {"name": table.name, "row": table.row, "columns": facts}


def _columns_text(shown: Sequence[Column]) -> str:
    rows = [
        [one.name, f"{one.type} or null" if one.is_optional else one.type, one.meaning]
        for one in shown
    ]
    return columns(
        ["column", "type", "meaning"], rows, right=[False, False, False], wrap=True, indent="  "
    )


def _heap(arguments: argparse.Namespace) -> int:
    from memlens.tables.heap_tables import write_heap

    written = [
        write_heap(
            arguments.folder,
            load_snapshot(path),
            service=arguments.service,
            release=arguments.release,
        )
        for path in arguments.snapshots
    ]
    lines = [
        f"{one.snapshot}: {format_count(one.node_count)} nodes, {format_count(one.edge_count)} edges,"
        f" {format_bytes(one.size_bytes)}\n  {one.nodes}\n  {one.edges}"
        for one in written
    ]
    value = {"snapshots": [one.to_dict() for one in written]}
    print_value(value, arguments.json, "\n".join(lines), schema="tables-heap")
    return 0
