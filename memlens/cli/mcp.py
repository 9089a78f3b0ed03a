"""The command ``mcp``: a server that gives coding agents tools over snapshots and profiles."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from memlens.errors import MissingExtraError

__all__ = ("add_mcp_command",)

_PACKAGES = frozenset({"mcp", "mcp_types", "anyio", "pydantic", "pydantic_core", "starlette"})


def add_mcp_command(commands: Any) -> None:
    """Add the parser of the command to the subparsers of the command line."""
    parser = commands.add_parser(
        "mcp", help="serve tools over snapshots and profiles to coding agents (MCP)"
    )
    parser.add_argument(
        "paths",
        nargs="*",
        default=["."],
        metavar="DIR|FILE",
        help="the folders and files that may be read (default: the working directory)",
    )
    parser.add_argument(
        "--source",
        action="append",
        default=[],
        metavar="DIR",
        help="let the tools show lines of source files in DIR; may be repeated (default: none)",
    )
    parser.add_argument(
        "--processes",
        action="store_true",
        help="let the tools examine running processes, and read the folders of their profilers",
    )
    parser.add_argument(
        "--values",
        action="store_true",
        help="open snapshots that contain data of the program (values=True), too",
    )
    parser.set_defaults(command=_mcp, in_main_thread=True)


def _mcp(arguments: argparse.Namespace) -> int:
    import logging

    from memlens.agents.workspace import Workspace

    try:
        from memlens.agents.server import serve
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in _PACKAGES:
            raise
        raise MissingExtraError(
            "mcp needs version 2 of the package mcp: pip install 'memlens[mcp]'"
        ) from error
    workspace = Workspace(
        arguments.paths,
        source_roots=arguments.source,
        values=arguments.values,
        processes=arguments.processes,
    )
    logging.basicConfig(stream=sys.stderr, format="%(name)s: %(message)s")
    try:
        serve(workspace)
    finally:
        workspace.close()
    return 0
