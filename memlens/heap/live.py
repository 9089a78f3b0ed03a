"""Questions about one live object: why it is alive, and its retained size."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import FrameType

from memlens._core.layout import NONE, RootKind
from memlens._display import displayed
from memlens._package import CODE_FOLDER
from memlens._text import fitted
from memlens.errors import NotInSnapshotError, OptionError
from memlens.heap.capture.take import take_heap_snapshot
from memlens.heap.graph.heap_graph import HeapGraph
from memlens.heap.graph.node import Node
from memlens.heap.graph.paths import RetentionPath, RetentionPathFinder

__all__ = ("Retention", "retained_size", "why_alive")

_CALLER_HOLDS_ARGUMENTS = sys.version_info[:2] == (3, 11)


@displayed
class Retention:
    """Why an object is alive: a sequence of independent paths; ``str()`` draws them.

    ``subject`` describes the object.
    """

    def __init__(self, subject: str, paths: list[RetentionPath]) -> None:
        self.subject = subject
        self.paths = tuple(paths)

    def __iter__(self) -> Iterator[RetentionPath]:
        return iter(self.paths)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> RetentionPath:
        return self.paths[index]

    def __str__(self) -> str:
        if not self.paths:
            return f"{fitted(self.subject)}\nOnly the caller's own variables keep it alive."
        count = len(self.paths)
        lines = [fitted(self.subject), f"{count} independent paths keep it alive:"]
        if count == 1:
            lines[1] = "One path keeps it alive:"
        for path in self.paths:
            lines += ["", fitted(str(path)), path.tree()]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<Retention of {self.subject}: {', '.join(map(str, self.paths)) or 'no paths'}>"


def why_alive(obj: object, limit: int = 3) -> Retention:
    """Return up to ``limit`` independent paths that keep ``obj`` alive, the best first.

    The caller's local variables are ignored. Captures the heap, which pauses the program as long
    as a snapshot does. Raises ``OptionError`` for a limit below 1 and ``NotInSnapshotError`` for
    an object that only the call itself refers to.
    """
    if not limit >= 1:
        raise OptionError(f"limit is {limit}: it must be at least 1")
    address, kind = id(obj), type(obj)
    del obj  # otherwise this frame would be a referrer
    snapshot = take_heap_snapshot(mode="inline", reason="why_alive", collect=False)
    index = _find(snapshot.graph, address, kind)
    graph = snapshot.graph
    finder = RetentionPathFinder(graph, skip_roots=set(_callers_roots(graph, index)))
    return Retention(str(Node(graph, index)), finder.find(index, limit))


def retained_size(obj: object) -> int:
    """Return the retained size of ``obj`` in bytes: what would be freed with it.

    Exact, from the dominators of the whole heap. Pauses the program as long as a snapshot does.
    Raises ``NotInSnapshotError`` for an object that only the call itself refers to.
    """
    address, kind = id(obj), type(obj)
    snapshot = take_heap_snapshot(mode="inline", reason="retained_size", collect=False)
    index = _find(snapshot.graph, address, kind)
    return snapshot.graph.retained_bytes(index)


def _find(graph: HeapGraph, address: int, kind: type) -> int:
    index = graph.find_address(address)
    if index is None:
        name: str = type.__dict__["__qualname__"].__get__(kind)
        raise NotInSnapshotError(
            f"this {name} object is in no container and is not tracked by the garbage collector:"
            " only the call itself refers to it"
        )
    return index


def _callers_roots(graph: HeapGraph, index: int) -> Iterator[int]:
    """Yield the roots that are only the caller's own variables."""
    frame = _calling_frame()
    for root, row in enumerate(graph.root_frame):
        if row != NONE and _is_frame(graph, row, frame):
            yield root
    if _CALLER_HOLDS_ARGUMENTS:
        # In 3.11 the pure core cannot read the variables of running frames, and the argument of the
        # call is one external reference.
        for root, target in enumerate(graph.edge_target[: graph.root_count_total]):
            is_external = target == index and graph.root_kind[root] == RootKind.EXTERNAL
            if is_external and graph.root_count[root] <= 1:
                yield root


def _is_frame(graph: HeapGraph, row: int, frame: FrameType) -> bool:
    """Return whether a row of the frame table is this running frame."""
    code = frame.f_code
    return (
        graph.string(graph.frame_file[row]) == code.co_filename
        and graph.frame_line[row] == frame.f_lineno
        and graph.string(graph.frame_function[row]).rpartition(".")[2] == code.co_name
    )


def _calling_frame() -> FrameType:
    """Return the innermost running frame that does not belong to memlens."""
    frame = sys._getframe(1)
    while frame.f_code.co_filename.startswith(CODE_FOLDER) and frame.f_back is not None:
        frame = frame.f_back
    return frame
