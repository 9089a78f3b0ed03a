"""Name each holder: the object that it is called after, its path, and a text for people.

Here, too, holders that are no leaks are dropped: those that state a bound, tables of weak
references, and what imports fill.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from memlens._core.layout import KIND_MASK, NONE, EdgeKind
from memlens.heap.graph.heap_graph import HeapGraph
from memlens.heap.graph.paths import RetentionPath, RetentionPathFinder, reference_text
from memlens.leaks.growth import Growth, Holder
from memlens.leaks.patterns.case import DATA, Case, is_standard
from memlens.leaks.people_paths import (
    path_for_people,
    short_text,
    without_line,
    without_name,
)
from memlens.leaks.place_keys import nodes_of_types
from memlens.leaks.places import EXIT_CALLBACKS
from memlens.leaks.program_paths import ProgramPaths
from memlens.leaks.stated_bounds import BoundedHolder, stated_bound, warms_up

__all__ = ("name_holders", "place_of")

_LRU_CACHE = "functools._lru_cache_wrapper"
_WEAK_KEYS = frozenset({"int", "str", "tuple"})  # what weak dictionaries and registries key by
_WEAK_REFERENCES = frozenset(
    f"weakref.{name}" for name in "ReferenceType ref KeyedRef WeakMethod ProxyType".split()
) | {"memlens.structures.weak._Reference", "memlens.structures._loans.WeakLoan"}
# What imports leave with the interpreter; two snapshots cannot distinguish it from a leak.
_INTERPRETERS_OWN = DATA | {"type", "function", "builtin_function_or_method", "module", "dict"}
_MIN_INTERVALS_OF_IMPORTS = 3
_NAMELESS = ("native", "garbage")
_WILD = "[*]"


def name_holders(
    growth: Growth, holders: Sequence[Holder]
) -> tuple[list[Case], list[BoundedHolder]]:
    """Return a case for each holder that may be a leak, in the order given; and the bounded ones.

    Those grew as well, but state a bound that they have kept to.
    """
    finder = RetentionPathFinder(growth.last)
    paths, caches = ProgramPaths(growth.last), _caches_by_table(growth.last)
    cases: list[Case] = []
    bounded: dict[int, BoundedHolder] = {}
    named: set[int] = set()
    for holder in holders:
        case = _case(growth, holder, finder, paths, caches)
        if case is None or case.subject in named:
            continue
        bound = None
        if holder.shape not in _NAMELESS:
            bound = stated_bound(growth, holder, case.subject, case.text)
        if bound is not None:
            kind, length = growth.last.type_of(case.subject), holder.lengths[-1]
            bounded.setdefault(case.subject, BoundedHolder(case.text, kind, length, bound))
        elif not _is_noise(case):
            named.add(case.subject)
            cases.append(case)
    kept = [case for case in cases if not any(_explains(other, case) for other in cases)]
    return _once_a_text(kept), [*bounded.values()]


def _once_a_text(cases: Sequence[Case]) -> list[Case]:
    """Keep the first case of each text: what reads the same is the same to a person."""
    first: dict[str, Case] = {}
    for case in cases:
        first.setdefault(without_name(case.text), case)
    return [*first.values()]


def _case(
    growth: Growth,
    holder: Holder,
    finder: RetentionPathFinder,
    paths: ProgramPaths,
    caches: Mapping[int, int],
) -> Case | None:
    if holder.shape == "garbage":
        path = RetentionPath("cyclic garbage", "garbage", ())
        return Case(growth, holder, 0, path, "cyclic garbage")
    graph = growth.last
    subject = _subject(graph, holder, caches)
    found = paths.path_to(subject)
    if found is None:
        return None
    path = path_for_people(graph, found, finder)
    text = place_of(without_line(path)) if len(holder.members) > 1 else short_text(path)
    if holder.shape == "chain":
        text += _chain_link(graph, holder)
    elif holder.shape == "cluster":
        text = _with_owners(graph, holder, path, text)
    elif holder.shape == "native":
        text = f"native code, or the interpreter, holding {graph.type_of(subject)}"
        if path.root.startswith("<interpreter: atexit["):
            text = EXIT_CALLBACKS
    return Case(growth, holder, subject, path, text)


def place_of(path: RetentionPath) -> str:
    """Return a path with keys and positions as wildcards: ``app.sessions[*].history``."""
    return path.root + "".join(
        _WILD if hop.kind in ("key", "index", "item") and hop.text else hop.text
        for hop in path.hops
    )


def _with_owners(graph: HeapGraph, holder: Holder, path: RetentionPath, text: str) -> str:
    """Say how many frames or functions have such a local, where that is what differs."""
    text = without_name(text)
    if _WILD in text:
        return text
    kinds = Counter(
        graph.type_of(graph.edge_source(graph.path_edges[node]))
        for node in holder.members
        if graph.path_edges[node] != NONE
    )
    owner = kinds.most_common(1)[0][0] if kinds else ""
    return f"{len(holder.members)} × {text}" if owner else text


def _is_noise(case: Case) -> bool:
    growth, holder = case.growth, case.holder
    is_few = len(growth.graphs) == 2
    if holder.shape in _NAMELESS or (is_few and _is_held_natively(case)):
        return case.subject_type in _WEAK_REFERENCES or (
            is_few and (any(growth.imports) or case.subject_type in _INTERPRETERS_OWN)
        )
    if _holds_only_weakly(case):
        return True
    imports = growth.imports[holder.start :]
    is_short = holder.start > 0 and len(imports) < _MIN_INTERVALS_OF_IMPORTS
    if is_short and all(imports) and all(map(is_standard, case.gained_types)):
        return True  # all of its life is a time of imports, which fill tables of many kinds
    is_early = is_few or (any(imports) and len(imports) - sum(imports) < 2)
    return is_early and warms_up(growth.last, holder, case.path)


def _is_held_natively(case: Case) -> bool:
    """Tell whether nothing but native code refers to a holder: a table of the interpreter, say."""
    return case.path.root_kind == "external reference" and not case.path.hops


def _holds_only_weakly(case: Case) -> bool:
    """Tell whether the entries are weak references that go when their objects go: a symptom."""
    graph, holder, path = case.graph, case.holder, case.path
    if path.hops and path.hops[-1].text == ".__subclasses__":
        return True
    values = [node for node in holder.entries if graph.type_of(node) not in _WEAK_KEYS]
    if _is_held_natively(case):
        # The interpreter's tables of the subclasses of built-in types, which classes clear as they go.
        weak = sum(1 for node in values if graph.type_of(node) in _WEAK_REFERENCES)
        return weak * 2 > len(values)
    return bool(values) and all(
        graph.type_of(node) in _WEAK_REFERENCES and graph.strong_targets(node) for node in values
    )


def _explains(outer: Case, inner: Case) -> bool:
    """Tell whether a holder lies inside another that gained the same: one leak, named once."""
    if outer is inner or not inner.holder.gained:
        return False
    way = [hop.node for hop in inner.path.hops[:-1]]
    outer_nodes = {outer.holder.node, *outer.holder.members}
    if outer_nodes.isdisjoint(way):
        return False
    return set(inner.holder.gained) <= {*outer.holder.gained, *outer_nodes}


def _subject(graph: HeapGraph, holder: Holder, caches: Mapping[int, int]) -> int:
    """Return the node to name: not the table inside a cache, not a link but the head."""
    node = holder.node
    if holder.shape == "chain":
        return node
    if holder.shape == "buffer":
        return _owner_of_buffer(graph, node)
    return caches.get(node, node)


def _caches_by_table(graph: HeapGraph) -> dict[int, int]:
    """Return the functools cache that refers to each object, the first of several."""
    found: dict[int, int] = {}
    for cache in nodes_of_types(graph, frozenset({_LRU_CACHE})):
        for target in graph.strong_targets(cache):
            found.setdefault(target, cache)
    return found


def _owner_of_buffer(graph: HeapGraph, node: int) -> int:
    """Return the object whose own memory a text is: that of an ``io.BytesIO`` is a ``bytes``."""
    edge = graph.path_edges[node]
    if edge == NONE or graph.edge_label[edge] & KIND_MASK != EdgeKind.INTERNAL:
        return node
    return graph.edge_source(edge) or node


def _chain_link(graph: HeapGraph, holder: Holder) -> str:
    """Return the reference by which a chain hangs on its head: ``.__traceback__``."""
    index = graph.path_edges[holder.members[0]]
    edge = graph.edge(index, holder.node)
    if not edge.name:
        return ""
    return reference_text(edge, None, graph.type_of(edge.target))
