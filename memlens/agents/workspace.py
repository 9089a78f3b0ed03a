"""What the tools may read: the folders and files given at the start, and snapshots that are open.

Paths are resolved before they are compared, so neither ``..`` nor a symbolic link leads outside. A
path outside is refused before anything is said about whether it exists.
"""

from __future__ import annotations

import os
import tempfile
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, TypeVar

from memlens._atomic import checked_path
from memlens.allocations.profile.allocation_profile import AllocationProfile
from memlens.errors import OptionError, SnapshotFileError
from memlens.files import load
from memlens.heap.graph.heap_graph import PYTHON
from memlens.heap.snapshot import HeapSnapshot

__all__ = ("Identity", "Workspace", "has_data", "identities_of", "identity_of")

MAX_OPEN_FILES = 16
MAX_OPEN_BYTES = 2 << 30  # of the files of open snapshots and profiles together
MAX_RESULTS = 8
_MAX_FACTS = 4096

Value = TypeVar("Value")
Identity = tuple[str, int, int, int]  # path, inode, size in bytes, time of the last change in ns


class Workspace:
    """The files that tools may read, and what was read of them lately.

    ``paths``: folders and files, all that may be read. ``source_roots``: the folders whose source
    lines may be shown; none by default. ``values``: whether to open snapshots that contain data of
    the program. ``processes``: whether the folders of running profilers may be read, too. Raises
    ``OptionError`` for a path that does not exist.
    """

    def __init__(
        self,
        paths: Iterable[str | os.PathLike[str]],
        *,
        source_roots: Iterable[str | os.PathLike[str]] = (),
        values: bool = False,
        processes: bool = False,
    ) -> None:
        self.roots = [_existing(path) for path in paths]
        self.source_roots = [_existing(path) for path in source_roots]
        for root in self.source_roots:
            if not os.path.isdir(root):
                raise OptionError(f"{root!r} is not a folder: give the folder of the source files")
        self.values = values
        self.processes = processes
        self._own: tempfile.TemporaryDirectory[str] | None = None
        self._open: OrderedDict[Identity, HeapSnapshot | AllocationProfile] = OrderedDict()
        self._results: OrderedDict[Hashable, Any] = OrderedDict()
        self._facts: OrderedDict[Identity, Any] = OrderedDict()

    # -- paths

    @property
    def folders(self) -> list[str]:
        """The folders among the roots."""
        return [root for root in self.roots if os.path.isdir(root)]

    def add_folder(self, folder: str) -> None:
        """Let the tools read one more folder: that of a running profiler."""
        real = os.path.realpath(folder)
        if real not in self.roots:
            self.roots.append(real)

    def new_file(self, name: str) -> str:
        """Return a path for a file of this workspace, which is deleted by `close`."""
        if self._own is None:
            self._own = tempfile.TemporaryDirectory(prefix="memlens-mcp-")
            self.add_folder(self._own.name)
        return os.path.join(os.path.realpath(self._own.name), name)

    def close(self) -> None:
        """Delete the files that were made for this workspace."""
        if self._own is not None:
            self._own.cleanup()

    def resolve(self, text: str) -> str:
        """Return the real path of a file that a tool was asked for.

        A relative path is looked up below each folder, then among the files given by name. Raises
        ``OptionError`` for a path outside, and for one that does not exist.
        """
        text = checked_path(text)
        candidates = (
            [text] if os.path.isabs(text) else [os.path.join(f, text) for f in self.folders]
        )
        candidates += [root for root in self.roots if os.path.basename(root) == text]
        inside = [real for real in map(os.path.realpath, candidates) if self.is_inside(real)]
        if not inside:
            raise OptionError(
                f"{text!r} is outside of the files that this server was started with: take a name"
                " that list_files gives"
            )
        found = next(filter(os.path.isfile, inside), None)
        if found is None:
            raise OptionError(f"there is no file {text!r}: take a name that list_files gives")
        return found

    def name_of(self, path: str) -> str:
        """Return the shortest text by which `resolve` finds a file."""
        for root in self.roots:
            if path == root:
                return os.path.basename(root)
            if _is_below(path, root):
                name = os.path.relpath(path, root)
                return name if self._finds(name, path) else path
        return path

    def _finds(self, name: str, path: str) -> bool:
        found = [os.path.realpath(os.path.join(folder, name)) for folder in self.folders]
        return next(filter(os.path.isfile, found), None) == path

    def is_inside(self, real: str) -> bool:
        """Tell whether a real path is one of the roots or below one."""
        return any(real == root or _is_below(real, root) for root in self.roots)

    def source_file(self, text: str) -> str:
        """Return the real path of a source file that may be shown.

        Raises ``OptionError`` if no source may be shown, or not of this file.
        """
        if not self.source_roots:
            raise OptionError(
                "this server shows no source: start it with --source FOLDER to allow that, or read"
                " the file yourself"
            )
        text = checked_path(text)
        real = [os.path.realpath(os.path.join(root, text)) for root in self.source_roots]
        inside = [path for path in real if any(_is_below(path, root) for root in self.source_roots)]
        if not inside:
            raise OptionError(
                f"{text!r} is not in a folder whose source this server may show: give the path that"
                " another tool printed, or read the file yourself"
            )
        return next(filter(os.path.isfile, inside), inside[0])

    # -- values

    def snapshot(self, path: str) -> HeapSnapshot:
        """Open a snapshot, or return it open.

        Raises ``SnapshotFileError`` for another file, ``OptionError`` for one with data of the
        program that this server may not show.
        """
        value = self._value(path)
        if not isinstance(value, HeapSnapshot):
            raise SnapshotFileError(
                f"{self.name_of(path)} is an allocation profile, not a heap snapshot: call"
                " allocations for it"
            )
        if not self.values and has_data(value):
            raise OptionError(
                f"{self.name_of(path)} contains data of the program (values=True, or a heap of"
                " JavaScript): start this server with --values to allow it, or take a snapshot"
                " without values"
            )
        return value

    def profile(self, path: str) -> AllocationProfile:
        """Open an allocation profile. Raises ``SnapshotFileError`` for another file."""
        value = self._value(path)
        if not isinstance(value, AllocationProfile):
            raise SnapshotFileError(
                f"{self.name_of(path)} is a heap snapshot, not an allocation profile: for a snapshot"
                " call summarize with by=site"
            )
        return value

    def result(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """Return a result that takes long to compute, from memory if it was computed lately."""
        return _kept(self._results, MAX_RESULTS, key, make)

    def facts(self, key: Identity, make: Callable[[], Value]) -> Value:
        """Return the facts of a file, from memory if it was read before and is the same."""
        return _kept(self._facts, _MAX_FACTS, key, make)

    def _value(self, path: str) -> HeapSnapshot | AllocationProfile:
        key = identity_of(path)
        if key not in self._open:
            value = load(path)
            if not isinstance(value, (HeapSnapshot, AllocationProfile)):
                raise SnapshotFileError(
                    f"{self.name_of(path)} is a file of allocation traces, which these tools do not"
                    " read: use memlens allocations on the command line"
                )
            self._open[key] = value
        self._open.move_to_end(key)
        self._close_oldest()
        return self._open[key]

    def _close_oldest(self) -> None:
        while len(self._open) > 1 and (
            len(self._open) > MAX_OPEN_FILES or sum(key[2] for key in self._open) > MAX_OPEN_BYTES
        ):
            self._open.popitem(last=False)


def _kept(
    kept: OrderedDict[Any, Any], max_count: int, key: Hashable, make: Callable[[], Value]
) -> Value:
    if key not in kept:
        kept[key] = make()
        while len(kept) > max_count:
            kept.popitem(last=False)
    kept.move_to_end(key)
    value: Value = kept[key]
    return value


def has_data(snapshot: HeapSnapshot) -> bool:
    """Tell whether a snapshot contains data of the program: values, or strings of JavaScript."""
    graph = snapshot.graph
    stored = len(graph.sections["value_node"]) > 0
    return stored or bool(graph.facts.get("values")) or graph.language != PYTHON


def identity_of(path: str) -> Identity:
    """Return what tells one content of a file from another. Raises ``SnapshotFileError``."""
    try:
        status = os.stat(path)
    except OSError as error:
        raise SnapshotFileError(f"cannot read {path!r}: {error.strerror or error}") from error
    return path, status.st_ino, status.st_size, status.st_mtime_ns


def identities_of(paths: Sequence[str]) -> tuple[Identity, ...]:
    """Return the identity of each of some files. Raises ``SnapshotFileError``."""
    return tuple(map(identity_of, paths))


def _existing(path: str | os.PathLike[str]) -> str:
    real = os.path.realpath(checked_path(path))
    if not os.path.exists(real):
        raise OptionError(f"there is no file or folder {os.fspath(path)!r}")
    return real


def _is_below(real: str, root: str) -> bool:
    return real.startswith(root if root.endswith(os.sep) else root + os.sep)
