"""Rules for callbacks and what they keep alive."""

from __future__ import annotations

from memlens._core.layout import EdgeKind
from memlens._text import format_bytes, format_count
from memlens.heap.graph.heap_graph import HeapGraph
from memlens.leaks.patterns.case import FUNCTIONS, Case, Diagnosis
from memlens.leaks.place_keys import TASKS

__all__ = ("captures", "listeners")

_LISTENER_WORDS = (
    *("listener", "handler", "callback", "observer", "subscri", "receiver", "hook", "signal"),
    *("watcher", "slots", "on_"),
)
_MAX_LOOKED_AT = 200
_MIN_CAPTURED_BYTES = 512  # of one function; less is what any closure needs


def captures(case: Case) -> Diagnosis | None:
    """Functions that keep much of what they close over."""
    graph = case.graph
    functions = [node for node in case.values if graph.type_of(node) == "function"]
    if not functions or len(functions) * 2 <= len(case.values):
        return None
    captured = sum(size for node in functions for size, _ in _captured(graph, node))
    total = sum(graph.retained_bytes(node) for node in functions)
    if captured * 2 <= total or captured < _MIN_CAPTURED_BYTES * len(functions):
        return None
    _, name = max(_captured(graph, functions[0]), default=(0, ""))
    function, place = graph.name_of(functions[0]), graph.location_of(functions[0])
    location = f" ({place.package_location})" if place else ""
    return Diagnosis(
        "closure-capture",
        f"each {function or 'function'} closes over {name!r}: {format_bytes(captured)} together",
        f"Let {function or 'the function'}{location} capture only"
        f" what it needs, not {name!r}, and take it out of {case.name} when it is done with."
        f"{case.where()}",
    )


def listeners(case: Case) -> Diagnosis | None:
    """Callbacks that are added and never removed, bare or in a tuple with their key."""
    callables = [found for node in case.values if (found := _callable_in(case.graph, node))]
    named = any(word in case.name.lower() for word in _LISTENER_WORDS)
    if len(callables) * 2 <= len(case.values) or (case.is_mapping and not named):
        return None
    function = next((name for node in callables if (name := _function_name(case, node))), "")
    owners = _owners(case, callables[:_MAX_LOOKED_AT])
    evidence = "callbacks are added and never removed"
    if function:
        evidence += f", such as {function}"
    if owners:
        evidence += f"; each keeps its {owners} alive"
    return Diagnosis(
        "listener-accumulation",
        f"{evidence} ({format_count(case.holder.count_growth)} more)",
        "Remove each callback when its owner goes away, register it once, or hold it by"
        f" weakref.WeakMethod or weakref.WeakSet.{case.where()}",
    )


def _callable_in(graph: HeapGraph, node: int) -> int:
    """Return a callable: the node itself, or what a small tuple of it and a key holds; else 0."""
    kind = graph.type_of(node)
    if kind in FUNCTIONS:
        return node
    if kind == "tuple" and (graph.length_of(node) or 9) <= 4:
        return next((t for t in graph.targets(node) if graph.type_of(t) in FUNCTIONS), 0)
    return 0


def _function_name(case: Case, node: int) -> str:
    graph = case.graph
    return graph.name_of(node) or next(
        (
            name
            for target in graph.targets(node)
            if (name := graph.name_of(target)) and graph.type_of(target) not in TASKS
        ),
        "",
    )


def _owners(case: Case, callables: list[int]) -> str:
    """Return the type of the objects that bound methods belong to, where they came with them."""
    graph, new = case.graph, case.growth.new
    for node in callables:
        if graph.type_of(node) == "method":
            for target in graph.strong_targets(node):
                if new[target] and graph.type_of(target) not in FUNCTIONS:
                    return graph.type_of(target)
    return ""


def _captured(graph: HeapGraph, function: int) -> list[tuple[int, str]]:
    """The cells of a function: what each retains in bytes, and its name."""
    cells: list[tuple[int, str]] = []
    for edge in graph.edges(function):
        if edge.name == "__closure__" and edge.kind is EdgeKind.INTERNAL:
            cells += [
                (graph.retained_bytes(cell.target), cell.name) for cell in graph.edges(edge.target)
            ]
    return cells
