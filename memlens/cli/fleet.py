"""The command ``fleet``: the leaks of many processes, from their reports or from their tables."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any

from memlens.cli.output import add_json, positive_integer, positive_size, print_value
from memlens.errors import OptionError

__all__ = ("add_fleet_command",)

_QUESTIONS = ("new-leaks", "limits", "growth", "deploy", "paths")
_HEAP_QUESTIONS = ("heap-types", "heap-growth", "heap-reach", "heap-holders")
_OF_TABLES = ("sql", "type", "snapshot", "service", "days", "before", "after", "limit", "memory")
_OF_REPORTS = ("all", "analyse", "max_analysed", "ignore")


def add_fleet_command(commands: Any) -> None:
    """Add the parser of the command to the subparsers of the command line."""
    parser = commands.add_parser(
        "fleet",
        help="show the leaks of many processes, from the folders or the tables of their profilers",
        description="DIR is a folder of snapshots and leak reports (there may be several), or a folder"
        " or URL of tables, which MemoryProfiler(table_dir=...) writes. Of tables, QUESTION is one of"
        f" {', '.join(_QUESTIONS)}; without one, all are answered shortly. Of whole heaps, it is one of"
        f" {', '.join(_HEAP_QUESTIONS)}.",
    )
    parser.add_argument(
        "folders", nargs="+", metavar="DIR [QUESTION]",
        help="a folder of snapshots and leak reports, or of tables, then what to ask of tables",
    )  # fmt: skip
    add_json(parser)
    parser.add_argument("--html", metavar="FILE", help="write a report with tables, too")
    _add_options_of_reports(parser.add_argument_group("of snapshots and leak reports"))
    _add_options_of_tables(parser.add_argument_group("of tables"))
    parser.set_defaults(command=_fleet)


def _add_options_of_reports(group: Any) -> None:
    group.add_argument(
        "--all", action="store_true", help="list all processes, also where none leaks"
    )
    group.add_argument(
        "--analyse",
        action="store_true",
        help="analyse the snapshots of all processes, also of those that have a leak report",
    )
    group.add_argument(
        "--max-analysed", type=positive_integer, default=None, metavar="N",
        help="how many processes to analyse, those that grew most first (default: 32)",
    )  # fmt: skip
    group.add_argument(
        "--ignore", action="append", default=[], metavar="ID",
        help="leave out a suspect: its id, or a regular expression for its holder; may be repeated",
    )  # fmt: skip


def _add_options_of_tables(group: Any) -> None:
    group.add_argument("--service", metavar="NAME", help="this service only")
    group.add_argument("--days", type=positive_integer, metavar="N", help="the newest N days only")
    group.add_argument("--type", metavar="TYPE", help="what heap-reach and heap-holders ask for")
    group.add_argument(
        "--snapshot", metavar="NAME",
        help="of several whole heaps this one; heap-growth compares it with --before NAME",
    )  # fmt: skip
    group.add_argument(
        "--before", metavar="RELEASE",
        help="the earlier release that deploy compares (default: the one before --after)",
    )  # fmt: skip
    group.add_argument(
        "--after", metavar="RELEASE",
        help="the later release that deploy compares (default: the newest)",
    )  # fmt: skip
    group.add_argument(
        "--limit", type=positive_integer, metavar="N",
        help="rows of each answer (default: 20, of --sql 1000)",
    )  # fmt: skip
    group.add_argument(
        "--memory", type=positive_size, metavar="SIZE",
        help="what the command may use, as 512MiB; what does not fit goes to a temporary folder"
        " (default: 2GiB)",
    )  # fmt: skip
    group.add_argument(
        "--sql", metavar="SELECT",
        help="run one SELECT over the tables readings, verdicts, suspects, types, holders and"
        " allocations",
    )  # fmt: skip


def _fleet(arguments: argparse.Namespace) -> int:
    folder, *questions = arguments.folders
    if _is_of_tables(folder):
        _refuse(arguments, _OF_REPORTS, "snapshots and leak reports, not of tables")
        return _tables(arguments, folder, questions)
    if os.path.exists(folder):  # else the error says that it does not exist
        _refuse(arguments, _OF_TABLES, "tables, which this folder has none of")
    return _reports(arguments)


def _is_of_tables(folder: str) -> bool:
    from memlens.tables.table_folder import is_table_folder, is_url

    return is_url(folder) or (os.path.isdir(folder) and is_table_folder(folder))


def _refuse(arguments: argparse.Namespace, names: Sequence[str], why: str) -> None:
    """Refuse an option that would have no effect."""
    for name in names:
        if getattr(arguments, name) not in (None, False, []):
            raise OptionError(f"--{name.replace('_', '-')} is an option of {why}")


def _reports(arguments: argparse.Namespace) -> int:
    from memlens.fleet.fleet_report import read_fleet  # the other commands do without

    report = read_fleet(
        arguments.folders,
        ignore=tuple(arguments.ignore),
        reports=not arguments.analyse,
        max_analysed=arguments.max_analysed or 32,
    )
    if arguments.html:
        report.to_html(arguments.html)
    text = report.text(all_processes=arguments.all)
    print_value(report, arguments.json, text, schema="fleet")
    return 0


def _tables(arguments: argparse.Namespace, folder: str, questions: Sequence[str]) -> int:
    from memlens.fleet.duckdb_engine import DEFAULT_MEMORY_BYTES
    from memlens.fleet.table_report import read_tables, rows_text, run_sql

    chosen: dict[str, Any] = {
        "service": arguments.service,
        "days": arguments.days,
        "memory_bytes": arguments.memory or DEFAULT_MEMORY_BYTES,
    }
    if arguments.limit:
        chosen["limit"] = arguments.limit
    if arguments.sql is not None:
        if questions or arguments.before or arguments.after or arguments.html:
            raise OptionError(
                "--sql asks for itself: leave out the question, its releases and --html"
            )
        names, rows, has_more = run_sql(folder, arguments.sql, **chosen)
        if arguments.json:
            _print_rows(names, rows, has_more=has_more)
        else:
            print_value(None, False, rows_text(names, rows, has_more=has_more))
        return 0
    if set(questions) & set(_HEAP_QUESTIONS):
        return _heaps(arguments, folder, questions, chosen)
    for name in ("type", "snapshot"):
        if getattr(arguments, name) is not None:
            raise OptionError(f"--{name} is an option of questions about whole heaps: heap-...")
    report = read_tables(
        folder, questions, before=arguments.before, after=arguments.after, **chosen
    )
    if arguments.html:
        report.to_html(arguments.html)
    print_value(report, arguments.json, schema="fleet-tables")
    return 0


def _heaps(
    arguments: argparse.Namespace, folder: str, questions: Sequence[str], chosen: dict[str, Any]
) -> int:
    from memlens.fleet.heap_report import read_heaps

    if chosen.pop("days") is not None or arguments.after is not None or arguments.html:
        raise OptionError(
            "--days, --after and --html are no options of questions about whole heaps"
        )
    report = read_heaps(
        folder,
        questions,
        snapshot=arguments.snapshot,
        before=arguments.before,
        type_name=arguments.type,
        **chosen,
    )
    print_value(report, arguments.json, schema="fleet-tables")
    return 0


def _print_rows(names: Sequence[str], rows: Sequence[tuple[Any, ...]], *, has_more: bool) -> None:
    """Print the rows of one's own SQL as JSON; what JSON does not have becomes text."""
    from memlens.cli.json_schema import stamped

    document = {
        "rows": [dict(zip(names, map(_plain, row), strict=True)) for row in rows],
        "has_more": has_more,
    }
    print_value(stamped("fleet-rows", document), True)
    sys.stdout.flush()


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return [_plain(one) for one in value] if isinstance(value, (list, tuple)) else str(value)
