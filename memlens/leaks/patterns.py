"""Patterns: what kind of leak a growing holder is, and what to do about it.

Each rule looks at one case and answers with a pattern, its evidence and a suggestion, or not at
all. The first rule that answers wins: the most telling come first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from memlens._core.layout import EdgeKind, NodeFlag
from memlens._text import format_bytes, format_count
from memlens.heap.graph import HeapGraph
from memlens.heap.paths import RetentionPath
from memlens.leaks.growth import Holder
from memlens.leaks.mentions import Mention

__all__ = ("Case", "Finding", "recognise")

_LRU_CACHE = "functools._lru_cache_wrapper"
_FUNCTIONS = frozenset({"function", "method", "builtin_function_or_method", "functools.partial"})
_DATA_KEYS = frozenset(
    "str bytes int float bool complex tuple frozenset NoneType uuid.UUID datetime.datetime"
    " datetime.date decimal.Decimal fractions.Fraction pathlib.PosixPath yarl.URL".split()
)
_SEQUENCES = frozenset({"list", "tuple", "collections.deque"})
_LISTENER_WORDS = ("listener", "handler", "callback", "observer", "subscri", "receiver", "hook")


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule says: the pattern, what it saw, and what to do."""

    pattern: str | None
    evidence: str
    suggestion: str


@dataclass(frozen=True)
class Case:
    """One growing holder with what a rule may want to know of it."""

    graph: HeapGraph
    holder: Holder
    subject: int  # the node that the suspect is named after
    path: RetentionPath
    mentions: Sequence[Mention]

    @cached_property
    def subject_type(self) -> str:
        """The type of what accumulates."""
        return self.graph.type_of(self.subject)

    @cached_property
    def name(self) -> str:
        """The last name on the path: an attribute, a variable."""
        for hop in reversed(self.path.hops):
            if hop.kind in ("attribute", "local", "cell") and hop.text:
                return hop.text.split()[-1].strip(".'<>")
        return self.path.root

    @cached_property
    def values(self) -> list[int]:
        """What was added: the values of a mapping, the members of anything else."""
        entries = set(self.holder.entries)
        edges = [e for e in self.graph.edges(self.holder.node) if e.target in entries]
        values = [e.target for e in edges if e.kind is EdgeKind.KEY]
        if not values:
            values = [e.target for e in edges if not (e.kind is EdgeKind.ITEM and self.is_mapping)]
        return values or list(self.holder.entries)

    @cached_property
    def is_mapping(self) -> bool:
        """Whether what accumulates has keys."""
        return any(
            edge.kind in (EdgeKind.KEY, EdgeKind.ATTRIBUTE)
            for edge in self.graph.edges(self.holder.node)
        )

    @cached_property
    def key_types(self) -> Counter[str]:
        """The types of a mapping's keys."""
        if not self.is_mapping:
            return Counter()
        return Counter(
            self.graph.type_of(edge.target)
            for edge in self.graph.edges(self.holder.node)
            if edge.kind is EdgeKind.ITEM
        )

    @cached_property
    def value_types(self) -> Counter[str]:
        """The types of what was added."""
        return Counter(self.graph.type_of(node) for node in self.values)

    @cached_property
    def gained_types(self) -> Counter[str]:
        """The types of all that came with it."""
        return Counter(self.graph.type_of(node) for node in self.holder.gained)

    def mostly(self, flag: NodeFlag) -> bool:
        """Tell whether most of what was added has a flag."""
        marked = sum(1 for node in self.values if self.graph.has(node, flag))
        return marked * 2 > len(self.values)

    def where(self) -> str:
        """Say which code to look at."""
        if not self.mentions:
            return ""
        # What makes the container is less telling than what fills it.
        first = sorted(self.mentions, key=lambda m: m.function.endswith("__init__"))
        some = "; ".join(str(mention) for mention in first[:3])
        return f" Look at the code that uses {self.name}: {some}."


def recognise(case: Case) -> Finding:
    """Return what the first rule that knows the case says of it."""
    for rule in _RULES:
        finding = rule(case)
        if finding is not None:
            return finding
    return _unknown(case)


def _exception_traceback(case: Case) -> Finding | None:
    if "traceback" not in case.gained_types or case.holder.shape in ("container", "slot"):
        return None
    return Finding(
        "exception-traceback",
        f"{format_count(case.gained_types['traceback'])} traceback entries hang on one exception,"
        " each with its frame and that frame's variables",
        "Raise a new exception each time instead of one kept instance, or drop what it collected"
        f" with exc.with_traceback(None) or exc.__traceback__ = None.{case.where()}",
    )


def _chain(case: Case) -> Finding | None:
    if case.holder.shape != "chain":
        return None
    links = case.gained_types.most_common(1)[0][0]
    return Finding(
        "chain",
        f"{format_count(case.holder.count_growth)} more objects hang on it in a chain ({links})",
        "Each generation keeps the one before: cut the link to the predecessor once it is no longer"
        f" needed, or keep the last N in a collections.deque(maxlen=N).{case.where()}",
    )


def _lru_cache(case: Case) -> Finding | None:
    if case.subject_type != _LRU_CACHE:
        return None
    return Finding(
        "unbounded-cache",
        "a functools cache without a maxsize keeps every argument and result",
        "Give it a maxsize. On a method it keeps every self alive: cache on the instance"
        f" (functools.cached_property) or by a key of your own.{case.where()}",
    )


def _detached(case: Case) -> Finding | None:
    if not case.mostly(NodeFlag.FINISHED):
        return None
    kind = case.value_types.most_common(1)[0][0]
    return Finding(
        "detached",
        f"the {kind} objects in it are finished or closed, and still referenced",
        f"Take each one out when it is done (a done callback such as {case.name}.discard, a finally"
        f" block, or weak references).{case.where()}",
    )


def _closures(case: Case) -> Finding | None:
    functions = [node for node in case.values if case.graph.type_of(node) == "function"]
    if not functions or len(functions) * 2 <= len(case.values):
        return None
    captured = sum(_captured_bytes(case.graph, node) for node in functions)
    total = sum(case.graph.retained_bytes(node) for node in functions)
    if captured * 2 <= total or captured < 512 * len(functions):
        return None
    name = _captured_name(case.graph, functions[0])
    function = case.graph.name_of(functions[0])
    place = case.graph.location_of(functions[0])
    return Finding(
        "closure-capture",
        f"each {function or 'function'} closes over {name!r}: {format_bytes(captured)} together",
        f"Let {function or 'the function'}{f' ({place})' if place else ''} capture only what it"
        f" needs, not {name!r}, and take it out of {case.name} when it is done with.{case.where()}",
    )


def _listeners(case: Case) -> Finding | None:
    callables = sum(count for kind, count in case.value_types.items() if kind in _FUNCTIONS)
    named = any(word in case.name.lower() for word in _LISTENER_WORDS)
    if callables * 2 <= len(case.values) or (case.is_mapping and not named):
        return None
    function = case.graph.name_of(case.values[0])
    return Finding(
        "listener-accumulation",
        "callbacks are added and never removed" + (f", such as {function}" if function else ""),
        "Remove each callback when its owner goes away, register it once, or hold it by"
        f" weakref.WeakMethod or weakref.WeakSet.{case.where()}",
    )


def _classes(case: Case) -> Finding | None:
    classes = sum(1 for node in case.values if case.graph.has(node, NodeFlag.HEAP_TYPE))
    if classes * 2 <= len(case.values):
        return None
    return Finding(
        "registry",
        "classes made at run time enrol here and nothing takes them out",
        "Make the classes once and reuse them, take them out when done, or hold them by"
        f" weakref.WeakSet or WeakValueDictionary.{case.where()}",
    )


def _mapping(case: Case) -> Finding | None:
    if not case.key_types:
        return None
    kind, _ = case.key_types.most_common(1)[0]
    value = case.value_types.most_common(1)[0][0]
    if kind in _DATA_KEYS:
        return Finding(
            "unbounded-cache",
            f"a mapping from {kind} to {value} that only grows",
            "Bound it: memlens.structures.LRUCache or functools.lru_cache(maxsize=...), or delete"
            f" entries when they are no longer needed.{case.where()}",
        )
    return Finding(
        "registry",
        f"{kind} objects enrol as keys and nothing takes them out",
        "Key it weakly (weakref.WeakKeyDictionary), or delete the entry when the object is done"
        f" with.{case.where()}",
    )


def _members(case: Case) -> Finding | None:
    if not case.value_types or case.is_mapping:
        return None
    kind = case.value_types.most_common(1)[0][0]
    if kind in _DATA_KEYS and case.subject_type == "set":
        return Finding(
            "unbounded-cache",
            f"a set that remembers every {kind} it ever saw",
            f"Bound what is remembered, or clear it at a natural boundary.{case.where()}",
        )
    if kind in _DATA_KEYS:
        return None
    verb = "appended" if case.subject_type in _SEQUENCES else "added"
    return Finding(
        "registry",
        f"{kind} objects are {verb} and nothing takes them out",
        "Take each one out when it is done with, hold them weakly (weakref.WeakSet), or keep the"
        f" last N in a collections.deque(maxlen=N).{case.where()}",
    )


def _unknown(case: Case) -> Finding:
    return Finding(
        None,
        f"it gained {format_count(case.holder.count_growth)} entries and lost none",
        f"Find what adds to it and what should take away again, or bound it.{case.where()}",
    )


_RULES: tuple[Callable[[Case], Finding | None], ...] = (
    _exception_traceback,
    _chain,
    _lru_cache,
    _detached,
    _closures,
    _listeners,
    _classes,
    _mapping,
    _members,
)


def _captured(graph: HeapGraph, function: int) -> list[tuple[int, str]]:
    """The cells of a function: what each retains in bytes, and its name."""
    cells = []
    for edge in graph.edges(function):
        if edge.name == "__closure__":
            cells += [
                (graph.retained_bytes(cell.target), cell.name) for cell in graph.edges(edge.target)
            ]
    return cells


def _captured_bytes(graph: HeapGraph, function: int) -> int:
    return sum(size for size, _ in _captured(graph, function))


def _captured_name(graph: HeapGraph, function: int) -> str:
    return max(_captured(graph, function))[1]
