"""The command ``convert``: writes saved files in the formats of other tools."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

from memlens._atomic import make_folder
from memlens.cli.output import load_snapshot, positive_integer
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
    parser.set_defaults(command=_convert)


def _convert(arguments: argparse.Namespace) -> int:
    if len(arguments.files) > 1:
        return _convert_several(arguments)
    value = load(arguments.files[0])
    _export(value, arguments.output, arguments.max_nodes)
    return 0


def _convert_several(arguments: argparse.Namespace) -> int:
    paths = [_output_path(arguments.output, file) for file in arguments.files]
    if len({*paths}) < len(paths):
        raise OptionError("two of the files have the same name: they would become one file")
    make_folder(arguments.output)
    before: list[HeapSnapshot] = []
    for file, path in zip(arguments.files, paths, strict=True):
        snapshot = load_snapshot(file)
        _export(snapshot, path, arguments.max_nodes, before)
        before.append(snapshot)
    return 0


def _output_path(folder: str, file: str) -> str:
    return os.path.join(folder, os.path.splitext(os.path.basename(file))[0] + _SUFFIX)


def _export(
    value: Any, path: str, max_nodes: int | None, before: list[HeapSnapshot] | None = None
) -> None:
    size = export(value, path, before=before or (), max_nodes=max_nodes)
    print(f"{path}: {size:,} bytes", file=sys.stderr)
