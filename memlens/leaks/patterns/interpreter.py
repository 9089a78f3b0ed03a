"""Rules for what the interpreter makes: tracebacks, frames, chains, garbage, what C code holds."""

from __future__ import annotations

from collections.abc import Iterator

from memlens._core.layout import NONE, EdgeKind, NodeFlag, RootKind
from memlens._text import format_count
from memlens.leaks.detectors.native import references_from_outside
from memlens.leaks.patterns.case import FUNCTIONS, Case, Diagnosis
from memlens.leaks.places import EXIT_CALLBACKS

__all__ = (
    "chains",
    "cycles",
    "detached",
    "exceptions",
    "interpreter_lists",
    "native_holders",
    "tracebacks",
)

_CONTAINERS = ("container", "slot", "cluster")
_LOOKED_AT = 100  # of many entries
_MAX_LINKS = 2000
_MAX_SHARE_OF_CHAIN = 0.9  # different predecessors, as a share of the links: of a chain all differ
_FUTURES = "concurrent.futures._base"
_DONE_STATES = frozenset({"FINISHED", "CANCELLED", "CANCELLED_AND_NOTIFIED"})


def cycles(case: Case) -> Diagnosis | None:
    """Garbage that piles up with the collector off."""
    if case.holder.shape != "garbage":
        return None
    return Diagnosis(
        "cycle",
        f"{format_count(case.holder.lengths[-1])} objects that nothing reaches, more each time:"
        " they refer to each other in cycles, and the garbage collector is off",
        "Turn the collector on (gc.enable()) or call gc.collect() now and then; or break the cycle"
        " where it is made: a weakref.ref to the parent, an exception variable that is deleted.",
    )


def native_holders(case: Case) -> Diagnosis | None:
    """Objects of one type that no Python object holds."""
    if case.holder.shape != "native" or case.text == EXIT_CALLBACKS:
        return None
    kind = case.graph.type_of(case.subject)
    nodes = case.holder.entries
    references = references_from_outside(case.growth, nodes)
    name = case.graph.name_of(case.subject)
    evidence = (
        f"{format_count(len(nodes))} more {kind} objects{f' such as {name}' if name else ''}, which"
        f" no Python object refers to: their reference counts tell of {format_count(references)}"
        " references from outside the heap"
    )
    if kind in FUNCTIONS:
        return Diagnosis(
            "native-holder",
            evidence,
            "A list of callbacks in C keeps them: look for atexit.register (atexit.unregister takes"
            " one back), signal handlers, or an extension's callbacks. Register once, not each"
            " time.",
        )
    return Diagnosis(
        "native-holder",
        evidence,
        f"An extension module (C, C++, Rust) keeps {kind} objects: look for what you hand to it and"
        " for a close, clear or release that is not called. If there is none, it lacks a"
        " Py_DECREF: report it to its authors.",
    )


def interpreter_lists(case: Case) -> Diagnosis | None:
    """A list of callables that has no name: the interpreter's own, such as at-fork callbacks."""
    if case.path.hops or case.path.root_kind != "external reference":
        return None
    if case.subject_type != "list" or case.share_of(FUNCTIONS) <= 0.5:
        return None
    names = {case.graph.name_of(node).rpartition(".")[2] for node in case.values[:_LOOKED_AT]}
    at_fork = any("fork" in name for name in names)
    return Diagnosis(
        "native-holder",
        "a list that the interpreter itself holds gains callbacks"
        + (f", such as {max(names)}" if max(names, default="") else "")
        + (": those of os.register_at_fork" if at_fork else ""),
        "What is registered with os.register_at_fork can never be taken back, and keeps what it"
        " refers to: register one function for the module, over a weakref.WeakSet of the objects."
        " Each logging.Handler and threading lock that registers itself counts.",
    )


def tracebacks(case: Case) -> Diagnosis | None:
    """An exception that is kept and raised again collects a traceback each time."""
    if "traceback" not in case.gained_types or case.holder.shape in _CONTAINERS:
        return None
    return Diagnosis(
        "exception-traceback",
        f"{format_count(case.gained_types['traceback'])} traceback entries hang on one exception,"
        " each with its frame and that frame's variables",
        "Raise a new exception each time instead of one kept instance, or drop what it collected"
        f" with exc.with_traceback(None) or exc.__traceback__ = None.{case.where()}",
    )


def exceptions(case: Case) -> Diagnosis | None:
    """A container of exceptions, tracebacks or frames: each keeps a whole stack of variables."""
    looked_at = case.values[:_LOOKED_AT]
    raised = sum(1 for node in looked_at if _has_frames(case, node))
    if not looked_at or raised * 2 <= len(looked_at):
        return None
    return Diagnosis(
        "exception-traceback",
        f"each {case.kind} in it keeps its traceback, with all frames and their variables",
        "Keep what you need of it as text (traceback.format_exception) or clear it with"
        f" exc.with_traceback(None), and keep the last N only.{case.where()}",
    )


def _has_frames(case: Case, node: int) -> bool:
    if case.graph.type_of(node) in ("traceback", "frame"):
        return True
    return any(
        edge.name == "__traceback__"
        and edge.kind is EdgeKind.INTERNAL
        and case.graph.type_of(edge.target) == "traceback"
        for edge in case.graph.edges(node)
    )


def chains(case: Case) -> Diagnosis | None:
    """Each generation keeps its predecessor."""
    if case.holder.shape != "chain":
        return None
    links = case.kind or "objects"
    if _branches(case):
        return Diagnosis(
            "chain",
            f"{format_count(case.holder.count_growth)} more objects hang on it in a tree ({links})",
            "Take out of the tree what is no longer needed, or bound it; where its nodes refer to"
            f" earlier ones, such as a parent that was replaced, cut that reference.{case.where()}",
        )
    return Diagnosis(
        "chain",
        f"{format_count(case.holder.count_growth)} more objects hang on it in a chain ({links})",
        "Each generation keeps the one before: cut the link to the predecessor once it is no longer"
        f" needed, or keep the last N in a collections.deque(maxlen=N).{case.where()}",
    )


def _branches(case: Case) -> bool:
    """Tell whether several links of a structure hang on the same one: a tree, not a chain."""
    graph, links = case.graph, case.holder.entries[:_MAX_LINKS]
    above = {graph.edge_source(graph.path_edges[n]) for n in links if graph.path_edges[n] != NONE}
    return len(above) < _MAX_SHARE_OF_CHAIN * len(links)


def _are_done_futures(case: Case) -> bool:
    """Tell whether most of the values are futures whose state is one of those of finished ones.

    A future refers to its state by the constant of the module, so that no text need be known.
    """
    if not case.kind.startswith("concurrent.futures."):
        return False
    done = set(_constants(case, _FUTURES, _DONE_STATES))
    looked_at = case.values[:_LOOKED_AT]
    states = [target for node in looked_at for target in _attribute(case, node, "_state")]
    return sum(1 for state in states if state in done) * 2 > len(looked_at)


def _constants(case: Case, module: str, names: frozenset[str]) -> Iterator[int]:
    graph = case.graph
    for root, kind in enumerate(graph.root_kind):
        if kind == RootKind.MODULE and graph.string(graph.root_name[root]) == module:
            for name in names:
                yield from _attribute(case, graph.edge_target[root], name)


def _attribute(case: Case, node: int, name: str) -> Iterator[int]:
    """Yield what an attribute of an object or a module refers to."""
    for edge in case.graph.edges(node):
        if edge.kind is EdgeKind.ATTRIBUTE and edge.name == name:
            yield edge.target
        elif case.graph.has(edge.target, NodeFlag.NAMESPACE) and edge.name == "__dict__":
            for entry in case.graph.edges(edge.target):
                if entry.kind is EdgeKind.ATTRIBUTE and entry.name == name:
                    yield entry.target


def detached(case: Case) -> Diagnosis | None:
    """Finished or closed things that are still referenced."""
    if not case.mostly(NodeFlag.FINISHED) and not _are_done_futures(case):
        return None
    return Diagnosis(
        "detached",
        f"the {case.kind} objects in it are finished or closed, and still referenced",
        f"Take each one out when it is done (a done callback such as {case.name}.discard, a finally"
        f" block, or weak references).{case.where()}",
    )
