"""The texts of roots: why an object is alive without a referrer."""

from __future__ import annotations

from memlens._core.layout import NONE, RootKind
from memlens.heap.graph.heap_graph import HeapGraph

__all__ = ("frame_text", "root_kind", "root_text")

_KIND_NAMES = {
    RootKind.MODULE: "module",
    RootKind.FRAME: "frame",
    RootKind.INTERPRETER: "interpreter",
    RootKind.STATIC_TYPE: "static type",
    RootKind.INTERNED: "interned string",
    RootKind.IMMORTAL: "immortal object",
    RootKind.EXTERNAL: "external reference",
}


def root_kind(graph: HeapGraph, root: int) -> str:
    """Return the name of a root's kind: ``module``, ``frame``, ``external reference``..."""
    return _KIND_NAMES[RootKind(graph.root_kind[root])]


def root_text(graph: HeapGraph, root: int) -> str:
    """Return the text of a root at the start of a path: a module, a frame, a native reference."""
    kind = RootKind(graph.root_kind[root])
    name = graph.string(graph.root_name[root])
    if kind is RootKind.MODULE:
        return name
    if kind is RootKind.FRAME and graph.root_frame[root] != NONE:
        return frame_text(graph, graph.root_frame[root])
    target = graph.edge_target[root]
    type_name = graph.type_of(target)
    if kind is RootKind.EXTERNAL:
        count = graph.root_count[root]
        times = "" if count <= 1 else f", {count} references"
        return f"<{type_name} held by native code or the interpreter{times}>"
    if kind is RootKind.INTERPRETER:
        return f"<interpreter: {name or type_name}>"
    return f"<{_KIND_NAMES[kind]} {name or graph.name_of(target) or type_name}>"


def frame_text(graph: HeapGraph, frame: int) -> str:
    """Return the text of a running frame: ``thread 'MainThread' frame handler (app.py:42)``."""
    thread = graph.frame_thread[frame]
    names = graph.facts.get("threads", {})
    label = names.get(str(thread), str(thread))
    function = graph.string(graph.frame_function[frame])
    file = graph.string(graph.frame_file[frame]).rpartition("/")[2]
    return f"thread {label!r} frame {function} ({file}:{graph.frame_line[frame]})"
