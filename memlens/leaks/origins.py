"""Whose a suspect is: the program's, a library's, or the interpreter's."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib import machinery
from typing import Any, Literal

from memlens._core.layout import NONE, RootKind
from memlens._display import displayed
from memlens._frame import is_library_file
from memlens._text import QUOTED
from memlens.heap.graph.heap_graph import HeapGraph
from memlens.heap.graph.paths import RetentionPath

__all__ = ("PROGRAM", "Origin", "OriginFinder")

_PACKAGES = re.compile(r"^(?P<folder>.*[/\\](?:site|dist)-packages)[/\\](?P<name>[^/\\]+)")
_SOURCE_SUFFIXES = (*machinery.SOURCE_SUFFIXES, ".pyc", ".so", ".pyd")
_SEPARATORS = re.compile(r"[-_.]+")
_NAMED_FUNCTION = re.compile(
    rf"^(?:thread (?:{QUOTED}|\d+) )?(?:task {QUOTED} )?"
    r"(?:(?:frame|task|coroutine|generator|async_generator) )?"
    r"(?P<function>[\w.<>]+?)(?:\(\))?(?: \(|$)"
)
_OWNERLESS = frozenset({"module", "type", "function", "cell", "frame"})


@displayed
@dataclass(frozen=True, slots=True)
class Origin:
    """Whose code holds what a suspect holds.

    ``kind``: ``program``, ``library`` or ``interpreter``, which includes the standard library.
    ``name`` and ``version`` are those of a library's distribution; the version is None where its
    metadata cannot be read. ``str()``: ``requests 2.32.3``.
    """

    kind: Literal["program", "library", "interpreter"]
    name: str | None = None
    version: str | None = None

    def __repr__(self) -> str:
        return f"<Origin {self}>"

    def __str__(self) -> str:
        if self.name is None:
            return f"the {self.kind}"
        return f"{self.name} {self.version}" if self.version else self.name

    def to_dict(self) -> dict[str, Any]:
        """Return the origin as JSON-ready values."""
        return {"kind": self.kind, "name": self.name, "version": self.version}


PROGRAM = Origin("program")
_INTERPRETER = Origin("interpreter")


class OriginFinder:
    """Finds the origins of places in one heap graph."""

    def __init__(self, graph: HeapGraph) -> None:
        self._graph = graph
        self._libraries: dict[tuple[str, str], Origin] = {}

    def origin_of(self, path: RetentionPath, types: tuple[str, ...] = ()) -> Origin:
        """Return whose the owner nearest to the end of a path is: a class, function or module.

        What lies in an object of the standard library, such as a queue, is of the next owner, if the
        path has one outside of the standard library. Where the path names no owner (garbage, native
        code), the first of ``types`` decides.
        """
        owners = [origin for origin in self._owners(path) if origin is not None]
        if owners:
            return next((one for one in owners if one.kind != "interpreter"), owners[0])
        for name in types:
            origin = self._of_type(name)
            if origin is not None:
                return origin
        return _INTERPRETER if path.root_kind == "interpreter" else PROGRAM

    def _owners(self, path: RetentionPath) -> Iterator[Origin | None]:
        graph = self._graph
        for hop in reversed(path.hops[:-1]):
            if hop.node >= 0 and hop.type_name in _OWNERLESS:
                location = graph.location_of(hop.node)
                yield self._of_file(location.file) if location else None
            else:
                yield self._of_type(hop.type_name)
        if path.root_kind == "module":
            yield self._of_module(path.root)
        if path.root_kind == "context variable":
            yield self._of_module(path.root.split()[-1])
            return
        match = _NAMED_FUNCTION.match(path.root)
        if match is not None and path.root_kind != "garbage":
            yield self._of_function(match["function"], path.root)

    def _of_type(self, name: str) -> Origin | None:
        """Return whose a class is; None of a built-in one, which says nothing."""
        module, dot, _ = name.partition(".")
        if not dot:
            return None
        node = self._type_nodes.get(name, NONE)
        location = self._graph.location_of(node) if node != NONE else None
        return self._of_file(location.file) if location else self._of_module(module)

    def _of_module(self, name: str) -> Origin | None:
        top = name.partition(".")[0]
        node = self._modules.get(name, self._modules.get(top))
        location = self._graph.location_of(node) if node is not None else None
        if location is not None:
            return self._of_file(location.file)
        return _INTERPRETER if top in sys.stdlib_module_names and top != "__main__" else None

    def _of_function(self, name: str, root: str) -> Origin | None:
        """Return whose a function is; of several of a name, the one in the file that a root names."""
        files = self._function_files.get(name, set())
        if len(files) > 1:
            files = {file for file in files if f"({file.rpartition('/')[2]}:" in root}
        return self._of_file(next(iter(files))) if len(files) == 1 else None

    def _of_file(self, file: str) -> Origin:
        match = _PACKAGES.match(file)
        if match is None:
            return _INTERPRETER if is_library_file(file) else PROGRAM
        folder, name = match["folder"], match["name"]
        if name.endswith(_SOURCE_SUFFIXES):
            name = name.partition(".")[0]
        if (folder, name) not in self._libraries:
            self._libraries[folder, name] = _library(folder, name)
        return self._libraries[folder, name]

    @cached_property
    def _type_nodes(self) -> dict[str, int]:
        return dict(zip(self._graph.type_names, self._graph.type_node, strict=True))

    @cached_property
    def _modules(self) -> dict[str, int]:
        graph = self._graph
        return {
            graph.string(graph.root_name[root]): graph.edge_target[root]
            for root, kind in enumerate(graph.root_kind)
            if kind == RootKind.MODULE
        }

    @cached_property
    def _function_files(self) -> dict[str, set[str]]:
        """The files that define code of a name, which are several for common names."""
        graph = self._graph
        codes = {row for row, name in enumerate(graph.type_names) if name == "code"}
        found: dict[str, set[str]] = {}
        for node in graph.sections["name_node"]:
            if graph.node_type[node] in codes:
                location = graph.location_of(node)
                if location is not None:
                    found.setdefault(graph.name_of(node), set()).add(location.file)
        return found


def _library(folder: str, package: str) -> Origin:
    """Return the distribution that a package belongs to, from its metadata in the same folder."""
    try:
        entries = sorted(os.listdir(folder))
    except OSError:  # a snapshot of another machine
        return Origin("library", package)
    found = [entry for entry in entries if entry.endswith(".dist-info")]
    named = [entry for entry in found if _normal(entry.partition("-")[0]) == _normal(package)]
    for entry in named or (entry for entry in found if package in _top_level(folder, entry)):
        name, _, version = entry.removesuffix(".dist-info").partition("-")
        return Origin("library", _normal(name), version or None)
    return Origin("library", package)


def _normal(name: str) -> str:
    """Return a name of a distribution as PEP 503 writes it."""
    return _SEPARATORS.sub("-", name).lower()


def _top_level(folder: str, entry: str) -> set[str]:
    try:
        with open(os.path.join(folder, entry, "top_level.txt"), encoding="utf-8") as file:
            return set(file.read().split())
    except (OSError, UnicodeDecodeError):  # wheels need not have this file
        return set()
