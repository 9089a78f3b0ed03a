"""The command ``fleet``: the newest reports of many processes, and their leaks by fingerprint."""

from __future__ import annotations

import argparse
from typing import Any

from memlens.cli.output import add_json, positive_integer, print_value

__all__ = ("add_fleet_command",)


def add_fleet_command(commands: Any) -> None:
    """Add the parser of the command to the subparsers of the command line."""
    parser = commands.add_parser(
        "fleet", help="show the leaks of many processes, from the folders of their profilers"
    )
    parser.add_argument(
        "folders", nargs="+", metavar="DIR", help="a folder of snapshots and leak reports"
    )
    add_json(parser)
    parser.add_argument(
        "--all", action="store_true", help="list all processes, also where none leaks"
    )
    parser.add_argument(
        "--analyse",
        action="store_true",
        help="analyse the snapshots of all processes, also of those that have a leak report",
    )
    parser.add_argument(
        "--max-analysed", type=positive_integer, default=32, metavar="N",
        help="how many processes to analyse, those that grew most first (default: 32)",
    )  # fmt: skip
    parser.add_argument(
        "--ignore", action="append", default=[], metavar="ID",
        help="leave out a suspect: its id, or a regular expression for its holder; may be repeated",
    )  # fmt: skip
    parser.set_defaults(command=_fleet)


def _fleet(arguments: argparse.Namespace) -> int:
    from memlens.fleet.fleet_report import read_fleet  # the other commands do without

    report = read_fleet(
        arguments.folders,
        ignore=tuple(arguments.ignore),
        reports=not arguments.analyse,
        max_analysed=arguments.max_analysed,
    )
    text = report.text(all_processes=arguments.all)
    print_value(report, arguments.json, text, schema="fleet")
    return 0
