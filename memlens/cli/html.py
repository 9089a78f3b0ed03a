"""The command ``html``: writes one HTML file about snapshots and allocation profiles."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

from memlens._text import format_bytes
from memlens.allocations.profile.allocation_profile import AllocationProfile
from memlens.cli.output import add_json, print_value
from memlens.cli.working import print_at_end
from memlens.errors import SnapshotFileError
from memlens.files import load
from memlens.heap.snapshot import HeapSnapshot

__all__ = ("add_html_command",)

_PROFILE = "allocations.json"  # of run --allocations -o
_DEFAULT_PATH = "memory-report.html"


def add_html_command(commands: Any) -> None:
    """Add the parser of the command to the subparsers of the command line."""
    parser = commands.add_parser(
        "html", help="write a report with pictures, as one HTML file, from saved files"
    )
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="snapshots of one process, allocation profiles; or the folder of run -o, of which the"
        " newest process is taken",
    )
    parser.add_argument(
        "-o", "--output", default=_DEFAULT_PATH, metavar="PATH",
        help=f"the file to write (default: {_DEFAULT_PATH})",
    )  # fmt: skip
    parser.add_argument(
        "--source",
        action="store_true",
        help="show a few lines of source around the site of each suspect, where the file is readable",
    )
    parser.add_argument(
        "--baseline", metavar="FILE", help="say which suspects are new, known and gone"
    )
    add_json(parser)
    parser.set_defaults(command=_html)


def _html(arguments: argparse.Namespace) -> int:
    from memlens.report.html.html_report import HtmlReport

    snapshots, profiles = _loaded(_files(arguments.files))
    profiles.sort(key=lambda profile: profile.facts.started_at)
    report = HtmlReport(
        snapshots=snapshots,
        allocations=profiles[-1] if profiles else None,
        earlier_profiles=profiles[:-1],
        source=arguments.source,
        baseline=arguments.baseline,
    )
    size_bytes = report.write(arguments.output)
    value = {"path": arguments.output, "size_bytes": size_bytes, "verdict": report.verdict}
    text = f"{arguments.output}: {format_bytes(size_bytes)}\n{report.verdict}"
    print_value(value, arguments.json, text, schema="html")
    return 0


def _files(paths: list[str]) -> list[str]:
    """Return the files that were named and, of folders, those of the newest process in each."""
    return [file for path in paths for file in (_files_in(path) if os.path.isdir(path) else [path])]


def _files_in(folder: str) -> list[str]:
    """Return the snapshots of the newest process in a folder, and its allocation profile."""
    from memlens.watch.snapshot_files import SnapshotFiles

    found = SnapshotFiles([folder])
    snapshots = found.refresh()
    if not snapshots:
        why = found.note() or "memlens run -o DIR writes some"
        raise SnapshotFileError(f"there are no heap snapshots in the folder {folder!r}: {why}")
    if note := found.note():
        print_at_end(lambda: print(f"memlens: {folder}: {note}", file=sys.stderr))
    files = [file.path for file in snapshots]
    profile = os.path.join(folder, _PROFILE)
    if os.path.exists(profile) and AllocationProfile.load(profile).facts.pid == snapshots[-1].pid:
        files.append(profile)
    return files


def _loaded(paths: list[str]) -> tuple[list[HeapSnapshot], list[AllocationProfile]]:
    snapshots: list[HeapSnapshot] = []
    profiles: list[AllocationProfile] = []
    for path in paths:
        value = load(path)
        if isinstance(value, HeapSnapshot):
            snapshots.append(value)
        elif isinstance(value, AllocationProfile):
            profiles.append(value)
        else:
            raise SnapshotFileError(
                f"{path} is a file of allocation traces: an HTML report is of snapshots and profiles"
            )
    return snapshots, profiles
