"""Rules for plain containers: caches, registries, sets that remember, buffers."""

from __future__ import annotations

from collections import Counter

from memlens._core.layout import EdgeKind, NodeFlag
from memlens._text import format_bytes, format_count
from memlens.heap.graph.heap_graph import HeapGraph
from memlens.leaks.patterns.case import DATA, LRU_CACHE, Case, Diagnosis, named_base

__all__ = (
    "bounded_by_nothing",
    "buffers",
    "classes",
    "mappings",
    "members",
    "namespaces",
    "pinned_keys",
)

_SEQUENCES = frozenset({"list", "tuple", "collections.deque"})
_WEAK_OWNERS = ("weakref.WeakKeyDictionary", "weakref.WeakValueDictionary")
_LOOKED_AT = 20
_NEAR_OBJECTS = 500  # how far a value is searched for its own key


def bounded_by_nothing(case: Case) -> Diagnosis | None:
    """A functools cache without a maxsize; on a method, with the instances that it keeps."""
    if case.subject_type != LRU_CACHE:
        return None
    kept = _cached_method_of(case)
    if kept:
        count = case.gained_types[kept]
        return Diagnosis(
            "unbounded-cache",
            f"a functools cache on a method of {kept}, without a maxsize: it keeps every self, and"
            f" {format_count(count)} more {kept} instances with it",
            "Cache on the instance instead (functools.cached_property), or cache a function of the"
            f" values that the result depends on, with a maxsize.{case.where()}",
        )
    return Diagnosis(
        "unbounded-cache",
        "a functools cache without a maxsize keeps every argument and result",
        "Give it a maxsize. On a method it keeps every self alive: cache on the instance"
        f" (functools.cached_property) or by a key of your own.{case.where()}",
    )


def _cached_method_of(case: Case) -> str:
    """Return the class whose method is cached, where its instances came with the entries."""
    for edge in case.graph.edges(case.subject):
        owner = case.graph.name_of(edge.target).rpartition(".")[0]
        if case.graph.type_of(edge.target) == "function" and owner in case.gained_types:
            return owner
    return ""


def buffers(case: Case) -> Diagnosis | None:
    """An object that grows in its own memory."""
    if case.holder.shape != "buffer":
        return None
    grown = format_bytes(case.holder.lengths[-1] - case.holder.lengths[0])
    return Diagnosis(
        "unbounded-cache",
        f"this {case.subject_type} grew by {grown} in its own memory and was never emptied",
        "Write it out and empty it (truncate, clear, a new one) at a natural boundary, or bound its"
        f" length.{case.where()}",
    )


def classes(case: Case) -> Diagnosis | None:
    """A registry of classes that are made at run time."""
    made = sum(1 for node in case.values if case.graph.has(node, NodeFlag.HEAP_TYPE))
    if made * 2 <= len(case.values):
        return None
    name = next((name for node in case.values if (name := case.graph.name_of(node))), "")
    values = set(case.values)
    bases = Counter(named_base(case.graph, node, values) for node in case.values)
    base, _ = bases.most_common(1)[0]
    what = f"{format_count(made)} classes made at run time"
    what += f", subclasses of {base}" if base else ""
    return Diagnosis(
        "registry",
        f"{what}{f', such as {name},' if name else ''} enrol here and nothing takes them out",
        "Make the classes once and reuse them, take them out when done, or hold them by"
        f" weakref.WeakSet or WeakValueDictionary.{case.where()}",
    )


def pinned_keys(case: Case) -> Diagnosis | None:
    """A weak dictionary whose values refer to their own keys, so that none ever goes."""
    owner = next((h.type_name for h in case.path.hops[-2:] if h.type_name in _WEAK_OWNERS), "")
    if not owner or not case.is_mapping:
        return None
    values = case.values[:_LOOKED_AT]
    pinned = sum(1 for value in values if _reaches_a_key(case, value))
    if pinned * 2 <= len(values):
        return None
    return Diagnosis(
        "registry",
        f"a {owner.rpartition('.')[2]} whose values refer to their own keys: what is held weakly on"
        " one side is held strongly on the other",
        f"Keep in {case.kind} a weakref.ref to the key, or only the parts of it that are needed."
        f"{case.where()}",
    )


def _reaches_a_key(case: Case, value: int) -> bool:
    """Tell whether a value keeps alive what a weak key of the same dictionary refers to."""
    graph, keys = case.graph, _weakly_keyed(case)
    seen, stack = {value}, [value]
    while stack and len(seen) < _NEAR_OBJECTS:
        for target in graph.strong_targets(stack.pop()):
            if target in keys:
                return True
            if target not in seen and case.growth.new[target]:
                seen.add(target)
                stack.append(target)
    return False


def _weakly_keyed(case: Case) -> set[int]:
    graph = case.graph
    keys = [edge.target for edge in case.edges if edge.kind is EdgeKind.ITEM]
    return {
        edge.target for key in keys for edge in graph.edges(key) if edge.kind is EdgeKind.WEAK
    } - {0}


def namespaces(case: Case) -> Diagnosis | None:
    """The attributes of a module, a class or an object, of which there are ever more."""
    if not case.graph.has(case.subject, NodeFlag.NAMESPACE) or not case.values:
        return None
    return Diagnosis(
        "unbounded-cache",
        f"ever new names are set to {case.kind} objects and none is deleted: by setattr, exec,"
        " globals() or vars()",
        "Keep what is made at run time in a container of its own, which can be bounded or emptied,"
        f" or set the same name again.{case.where()}",
    )


def mappings(case: Case) -> Diagnosis | None:
    """A mapping that only grows: a cache where the keys are data, else a registry."""
    if not case.key_types or not case.values:
        return None
    kind, _ = case.key_types.most_common(1)[0]
    if kind in DATA:
        return Diagnosis(
            "unbounded-cache",
            f"a mapping from {kind} to {case.kind} that only grows{_spread(case)}",
            "Bound it: memlens.structures.LRUCache or functools.lru_cache(maxsize=...), or delete"
            f" entries when they are no longer needed.{case.where()}",
        )
    return Diagnosis(
        "registry",
        f"{kind} objects enrol as keys and nothing takes them out{_spread(case)}",
        "Key it weakly (weakref.WeakKeyDictionary), or delete the entry when the object is done"
        f" with.{case.where()}",
    )


def members(case: Case) -> Diagnosis | None:
    """A list or set that only grows."""
    if case.is_mapping:
        return None
    kind = case.kind or "the same object again and again"
    if kind in DATA or not case.kind:
        what = "set that remembers" if _is_set(case.graph, case.subject) else "sequence that keeps"
        every = f"every {kind} it ever saw" if case.kind else kind
        return Diagnosis(
            "unbounded-cache",
            f"a {what} {every}{_spread(case)}",
            "Bound what is remembered (collections.deque(maxlen=N)), or clear it at a natural"
            f" boundary.{case.where()}",
        )
    verb = "appended" if case.subject_type in _SEQUENCES else "added"
    return Diagnosis(
        "registry",
        f"{kind} objects are {verb} and nothing takes them out{_spread(case)}",
        "Take each one out when it is done with, hold them weakly (weakref.WeakSet), or keep the"
        f" last N in a collections.deque(maxlen=N).{case.where()}",
    )


def _is_set(graph: HeapGraph, node: int) -> bool:
    return graph.type_of(node) == "set"


def _spread(case: Case) -> str:
    count = len(case.holder.members)
    return f", in {format_count(count)} containers of this place" if count else ""
