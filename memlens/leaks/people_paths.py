"""Paths for people: begin at the task, thread or function that a reader knows.

The shortest path to a local of a coroutine leads through the machinery of its event loop, and one to
a local of a thread through its bootstrap. What a reader knows is the function whose local it is.
"""

from __future__ import annotations

import re
from dataclasses import replace

from memlens._core.layout import NONE, EdgeKind
from memlens._text import QUOTED
from memlens.heap.graph.heap_graph import HeapGraph
from memlens.heap.graph.paths import Hop, RetentionPath, RetentionPathFinder
from memlens.leaks.place_keys import SUSPENDED, TASKS, code_of
from memlens.leaks.places import CONTEXT_VARIABLES, TRIE_NODES

__all__ = ("path_for_people", "short_text", "without_line", "without_name")

_FRAME = re.compile(
    rf"^thread (?P<thread>{QUOTED}|\d+) frame (?P<function>.+) \((?P<place>[^()]*)\)$"
)
_PLACE = re.compile(r"\(\) \([^()]*\)$")
_THREAD = re.compile(rf"^thread (?:{QUOTED}|\d+) ")
_TASK = re.compile(rf"^task {QUOTED} ")
_BETWEEN = frozenset({"coroutine_wrapper", "async_generator_asend", "async_generator_athrow"})


def path_for_people(
    graph: HeapGraph, path: RetentionPath, finder: RetentionPathFinder
) -> RetentionPath:
    """Return a path from what a reader knows: a suspended or running frame, a context variable.

    The path itself where there is none on it.
    """
    for position in range(len(path.hops) - 2, -1, -1):
        hop = path.hops[position]
        if hop.type_name.startswith(TRIE_NODES):
            variable = _context_variable(graph, hop.node, path.hops[position + 1].node, finder)
            if variable:
                rest = path.hops[position + 2 :]
                return RetentionPath(f"context variable {variable}", "context variable", rest)
        if hop.type_name in SUSPENDED and path.hops[position + 1].kind == "local":
            return _from_suspended(graph, path, position)
        if hop.type_name == "frame" and path.hops[position + 1].kind == "local":
            name = _running_function(graph, hop.node)
            if name:
                return RetentionPath(name, "frame", path.hops[position + 1 :])
    match = _FRAME.match(path.root)
    if match is None:
        return path
    thread = match["thread"]
    prefix = "" if thread == "'MainThread'" else f"thread {thread} "
    hops = path.hops
    if match["function"] == "<module>":
        return path
    return RetentionPath(f"{prefix}{match['function']}() ({match['place']})", path.root_kind, hops)


def short_text(path: RetentionPath) -> str:
    """Return a path as text without the line of its frame: what a suspect is called."""
    return without_line(path).root + "".join(hop.text for hop in path.hops)


def without_line(path: RetentionPath) -> RetentionPath:
    """Return a path without the line of its frame."""
    return replace(path, root=_PLACE.sub("()", path.root))


def without_name(text: str) -> str:
    """Return the text of a path without the name of a thread or a task, where several have one."""
    return _TASK.sub("task ", _THREAD.sub("", text))


def _from_suspended(graph: HeapGraph, path: RetentionPath, position: int) -> RetentionPath:
    hop = path.hops[position]
    code = code_of(graph, hop.node)
    name = code[0] if code else hop.type_name
    task = _task_of(path, position)
    if task is None:
        root, kind = f"{hop.type_name} {name}()", hop.type_name
    else:
        title = graph.name_of(task.node)
        root, kind = f"task {title!r} {name}()" if title else f"task {name}()", "task"
    return RetentionPath(root, kind, path.hops[position + 1 :])


def _task_of(path: RetentionPath, position: int) -> Hop | None:
    """Return the task that runs a coroutine on a path, itself or through those that await it."""
    for hop in path.hops[position::-1]:
        if hop.type_name in TASKS:
            return hop
        if hop.kind != "internal" or hop.type_name not in SUSPENDED | _BETWEEN:
            return None  # what is not awaited is no part of the task
    return None


def _context_variable(
    graph: HeapGraph, trie_node: int, value: int, finder: RetentionPathFinder
) -> str:
    """Return the path of the variable that has a value in a context, ``""`` where it has none.

    A node of the trie visits its entries from the last to the first, the value before the variable.
    """
    targets = graph.strong_targets(trie_node)
    place = targets.index(value) + 1 if value in targets else len(targets)
    if place == len(targets) or graph.type_of(targets[place]) not in CONTEXT_VARIABLES:
        return ""
    found = finder.path_to(targets[place])
    return str(found) if found is not None and found.root_kind == "module" else ""


def _running_function(graph: HeapGraph, node: int) -> str:
    for edge in graph.edges(node):
        if edge.kind is EdgeKind.INTERNAL and edge.name == "f_code":
            return f"{graph.name_of(edge.target)}()"
    for root, frame in enumerate(graph.root_frame):
        if graph.edge_target[root] == node and frame != NONE:
            return f"{graph.string(graph.frame_function[frame])}()"
    return ""
