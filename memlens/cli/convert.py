"""The command ``convert``: writes saved files in the formats of other tools."""

from __future__ import annotations

import argparse
import os
from typing import Any

from memlens._atomic import make_folder
from memlens._text import format_bytes
from memlens.cli.output import add_json, load_snapshot, positive_integer, print_value
from memlens.errors import OptionError
from memlens.files import export, load
from memlens.heap.snapshot import HeapSnapshot

__all__ = ("add_convert_command",)

_SUFFIX = ".heapsnapshot"


def add_convert_command(commands: Any) -> None:
    """Add the parser of the command to the subparsers of the command line."""
    parser = commands.add_parser("convert", help="write saved files in the formats of other tools")
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="a file of memlens, or a .heapsnapshot; several snapshots of one process, the earliest"
        " first, become .heapsnapshot files that Chrome DevTools can compare",
    )
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="PATH",
        help="the file to write, in the format of its suffix; for several files a folder",
    )
    parser.add_argument(
        "--max-nodes",
        type=positive_integer,
        metavar="N",
        help="of a heap with more objects, sum up those that retain least (default: 2000000; only for"
        " .heapsnapshot)",
    )
    parser.add_argument(
        "--table",
        metavar="NAME",
        help="which rows to write to a .parquet: of a snapshot types (the default), holders, nodes or"
        " edges; of a profile allocations",
    )
    add_json(parser)
    parser.set_defaults(command=_convert)


def _convert(arguments: argparse.Namespace) -> int:
    if len(arguments.files) > 1:
        return _convert_several(arguments)
    value = load(arguments.files[0])
    written = _export(value, arguments.output, arguments.max_nodes, table=arguments.table)
    _print([written], arguments.json)
    return 0


def _convert_several(arguments: argparse.Namespace) -> int:
    if arguments.table is not None:
        raise OptionError("--table is for one file that becomes a .parquet")
    paths = [_output_path(arguments.output, file) for file in arguments.files]
    if len({*paths}) < len(paths):
        raise OptionError("two of the files have the same name: they would become one file")
    make_folder(arguments.output)
    before: list[HeapSnapshot] = []
    written = []
    for file, path in zip(arguments.files, paths, strict=True):
        snapshot = load_snapshot(file)
        written.append(_export(snapshot, path, arguments.max_nodes, before))
        before.append(snapshot)
    _print(written, arguments.json)
    return 0


def _output_path(folder: str, file: str) -> str:
    return os.path.join(folder, os.path.splitext(os.path.basename(file))[0] + _SUFFIX)


def _export(
    value: Any,
    path: str,
    max_nodes: int | None,
    before: list[HeapSnapshot] | None = None,
    table: str | None = None,
) -> dict[str, Any]:
    size = export(value, path, before=before or (), max_nodes=max_nodes, table=table)
    return {"path": path, "size_bytes": size}


def _print(written: list[dict[str, Any]], as_json: bool) -> None:
    lines = [f"{file['path']}: {format_bytes(file['size_bytes'])}" for file in written]
    print_value({"files": written}, as_json, "\n".join(lines), schema="converted")
