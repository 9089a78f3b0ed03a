"""The commands that show snapshot files: report, leaks, summary, dominators, paths, ..."""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from typing import Any

from memlens.cli.attach import process_of, snapshot_paths_of
from memlens.cli.output import add_json, add_known, load_snapshot, positive_integer, print_value
from memlens.errors import NotInSnapshotError, OptionError
from memlens.heap.graph.node import Node
from memlens.heap.snapshot import HeapSnapshot
from memlens.heap.views.summary import GROUPINGS, Summary
from memlens.leaks.baselines import Baseline
from memlens.leaks.leak_report import reported_leaks
from memlens.stuck.stuck_report import stuck_tasks

__all__ = ("add_leak_commands", "add_view_commands")


def add_leak_commands(commands: Any) -> None:
    """Add ``report`` and ``leaks`` to the subparsers of the command line."""
    for name, command, purpose in (
        ("report", _report, "summarize one snapshot, or find leaks between several"),
        ("leaks", _leaks, "find leaks between two or more snapshots of one process"),
    ):
        parser = commands.add_parser(name, help=purpose)
        is_report = name == "report"
        parser.add_argument(
            "files", nargs="+", metavar="FILE | PID" if is_report else "FILE",
            help="snapshot files" + (", or the id of a running process" if is_report else ""),
        )  # fmt: skip
        add_json(parser)
        add_known(parser)
        parser.set_defaults(command=command)


def add_view_commands(commands: Any) -> None:
    """Add the commands that show one view to the subparsers of the command line."""
    _add_summary(commands)
    _add_dominators(commands)
    _add_paths(commands)
    _view(commands, "stuck", "show tasks and threads that nothing can wake any more", _stuck)

    duplicates = _view(
        commands, "duplicates", "show equal strings and the memory they waste", _duplicates
    )
    _add_limit(duplicates, 20)
    _add_diff(commands)


def _add_summary(commands: Any) -> None:
    summary = _view(commands, "summary", "show the objects of the heap in groups", _summary)
    summary.add_argument(
        "--by",
        choices=(*GROUPINGS, "site", "kind", "device"),
        default="type",
        help="what to group by (default: type)",
    )
    _add_limit(summary, 20)
    summary.add_argument("--garbage", action="store_true", help="include unreachable objects")


def _add_dominators(commands: Any) -> None:
    dominators = _view(
        commands, "dominators", "show immediate dominators and retained sizes", _dominators
    )
    dominators.add_argument(
        "--depth", type=positive_integer, default=2, help="levels of the tree (default: 2)"
    )
    dominators.add_argument(
        "--by", choices=("object", "type", "drop"), default="object",
        help="a tree of objects, its top by type, or where memory accumulates",
    )  # fmt: skip
    _add_limit(dominators, 10)


def _add_paths(commands: Any) -> None:
    paths = _view(commands, "paths", "show what keeps objects alive", _paths)
    which = paths.add_mutually_exclusive_group(required=True)
    which.add_argument(
        "--type", metavar="NAME", help="the largest objects of a type (* is a wildcard)"
    )
    which.add_argument("--address", type=_address, metavar="ID", help="the object with this id()")
    which.add_argument("--path", metavar="PATH", help="the object with this path: app.CACHE['x']")
    which.add_argument(
        "--largest", action="store_true", help="the objects with the largest retained size"
    )
    paths.add_argument(
        "--objects", type=positive_integer, default=1, help="how many objects (default: 1)"
    )
    _add_limit(paths, 3, "independent paths to show for each object")


def _add_diff(commands: Any) -> None:
    diff = commands.add_parser("diff", help="show the changes between two snapshots of one process")
    diff.add_argument("before", metavar="BEFORE", help="a snapshot file")
    diff.add_argument("after", metavar="AFTER", help="a later snapshot file")
    _add_limit(diff, 20)
    add_json(diff)
    diff.set_defaults(command=_diff)


def _view(commands: Any, name: str, text: str, command: Any) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=text)
    parser.add_argument("file", metavar="FILE", help="a snapshot file")
    add_json(parser)
    parser.set_defaults(command=command)
    return parser


def _add_limit(parser: argparse.ArgumentParser, default: int, what: str = "rows to show") -> None:
    parser.add_argument(
        "--limit", type=positive_integer, default=default, metavar="N",
        help=f"{what} (default: {default})",
    )  # fmt: skip


def _address(text: str) -> int:
    try:
        return int(text, 0)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not an address: give the value of id(), such as 140012 or 0x7f01"
        ) from None


def _report(arguments: argparse.Namespace) -> int:
    pid = process_of(arguments.files)
    with ExitStack() as stack:
        paths = arguments.files if pid is None else snapshot_paths_of(pid, stack)
        snapshots = [load_snapshot(path) for path in paths]
        if len(snapshots) > 1:
            return _print_leaks(snapshots, arguments)
        print_value(snapshots[0].summary(), arguments.json, schema="summary")
    return 0


def _leaks(arguments: argparse.Namespace) -> int:
    return _print_leaks([load_snapshot(path) for path in arguments.files], arguments)


def _summary(arguments: argparse.Namespace) -> int:
    snapshot = load_snapshot(arguments.file)
    if arguments.by == "kind":
        statistics = snapshot.statistics(include_garbage=arguments.garbage)
        print_value(statistics, arguments.json, schema="kinds")
    else:
        summary = snapshot.summary(arguments.by, include_garbage=arguments.garbage)
        _print_summary(summary, arguments)
    return 0


def _print_summary(summary: Summary, arguments: argparse.Namespace) -> None:
    value = summary.to_dict(arguments.limit)
    text = f"{summary.title}\n\n{summary.table(arguments.limit)}"
    print_value(value, arguments.json, text, schema="summary")


def _dominators(arguments: argparse.Namespace) -> int:
    tree = load_snapshot(arguments.file).dominators()
    if arguments.by == "type":
        _print_summary(tree.by_type(), arguments)
    elif arguments.by == "drop":
        drops = tree.big_drops()
        print_value(drops, arguments.json, drops.table(arguments.limit), schema="drops")
    else:
        value = tree.to_dict(arguments.depth, arguments.limit) if arguments.json else {}
        text = "" if arguments.json else tree.tree(arguments.depth, arguments.limit)
        print_value(value, arguments.json, text, schema="dominators")
    return 0


def _paths(arguments: argparse.Namespace) -> int:
    snapshot = load_snapshot(arguments.file)
    found = []
    for node in _wanted(snapshot, arguments):
        paths = snapshot.retention_paths(node, arguments.limit)
        found.append((node, paths))
    value = {
        "objects": [
            {
                "type": node.type_name,
                "address": node.address,
                "retained_bytes": node.retained_bytes,
                "retained_native_bytes": node.retained_native_bytes,
                "retained_device_bytes": node.retained_device_bytes,
                "paths": [path.to_dict() for path in paths],
            }
            for node, paths in found
        ]
    }
    blocks = []
    for node, paths in found:
        lines = [str(node)]
        for path in paths:
            lines += ["", path.tree()]
        blocks.append(
            "\n".join(lines if paths else [*lines, "Nothing refers to it: it is garbage."])
        )
    print_value(value, arguments.json, "\n\n".join(blocks), schema="paths")
    return 0


def _wanted(snapshot: HeapSnapshot, arguments: argparse.Namespace) -> list[Node]:
    if arguments.address is not None:
        index = snapshot.graph.find_address(arguments.address)
        if index is None:
            raise NotInSnapshotError(f"no object has the address {arguments.address:#x}")
        return [Node(snapshot.graph, index)]
    if arguments.path is not None:
        return [_node_at(snapshot, arguments.path)]
    if arguments.largest:
        return snapshot.largest(arguments.objects)
    chosen = snapshot.select(arguments.type)
    if not chosen:
        raise OptionError(
            f"no object is of type {arguments.type!r}: give the full name, such as"
            " 'collections.deque', or part of it with *; 'memlens summary' lists the types"
        )
    return chosen.largest(arguments.objects)


def _node_at(snapshot: HeapSnapshot, text: str) -> Node:
    """Return the object with the path ``text``, such as ``app.registry._sessions``."""
    found = snapshot.node_at(text)
    if found is None:
        raise NotInSnapshotError(
            f"no object is at {text!r}: begin with a module, as in app.registry._sessions; keys of"
            " dicts are known only in snapshots taken with values=True"
        )
    return found


def _duplicates(arguments: argparse.Namespace) -> int:
    duplicates = load_snapshot(arguments.file).duplicates()
    value = duplicates.to_dict(arguments.limit) if arguments.json else {}
    text = "" if arguments.json else f"{duplicates.title}\n\n{duplicates.table(arguments.limit)}"
    print_value(value, arguments.json, text, schema="duplicates")
    return 0


def _stuck(arguments: argparse.Namespace) -> int:
    print_value(stuck_tasks(load_snapshot(arguments.file)), arguments.json, schema="stuck")
    return 0


def _diff(arguments: argparse.Namespace) -> int:
    before, after = load_snapshot(arguments.before), load_snapshot(arguments.after)
    comparison = before.compare(after)
    value = comparison.to_dict(arguments.limit)
    text = f"{comparison.title}\n\n{comparison.table(arguments.limit)}"
    print_value(value, arguments.json, text, schema="diff")
    return 0


def _print_leaks(snapshots: list[HeapSnapshot], arguments: argparse.Namespace) -> int:
    report = reported_leaks(
        snapshots,
        ignore=arguments.ignore,
        baseline=arguments.baseline,
    )
    if arguments.save_baseline:
        Baseline(report).save(arguments.save_baseline)
    print_value(report, arguments.json, schema="leaks")
    return 0
