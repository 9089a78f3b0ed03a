"""The types of what a holder gained, the most telling first."""

from __future__ import annotations

from collections import Counter

from memlens._core.layout import NodeFlag
from memlens.heap.graph.heap_graph import HeapGraph
from memlens.heap.graph.native_blocks import is_native_type
from memlens.leaks.growth import Holder
from memlens.leaks.patterns.case import DATA, Case, is_standard, named_base, package_of

__all__ = ("gained_types",)

# Of equal numbers, what is more telling than these comes first.
_PLAIN = DATA | {
    "dict", "list", "set", "bytearray", "cell", "_thread.lock", "builtin_function_or_method",
}  # fmt: skip
_MAX_TYPES = 5
_MIN_SHARE = 0.02  # of a type, relative to the number of elements gained
_FEW_LAST = 4  # their rank, after plain data


def gained_types(case: Case) -> tuple[str, ...]:
    """Return what the holder gained, the most telling types first.

    The program's own types come before those of the standard library, and these before plain data;
    of each kind first the values added, then keys, then what came with them, most bytes first. The
    native memory that came with them is last.
    """
    entries, by_bytes = _types_of(case.graph, case.holder)
    based = _named_by_base(case.graph, case.holder)
    values, entries, by_bytes = (
        _renamed(types, based) for types in (case.value_types, entries, by_bytes)
    )
    ranked = [
        name
        for types in (values, entries, by_bytes)
        for name, _ in sorted(types.items(), key=lambda item: (-item[1], item[0]))
    ]
    ranked = list(dict.fromkeys(ranked)) or [case.subject_type]  # it grew in its own memory
    few = _few(case, based)
    native = [name for name in ranked if is_native_type(name)][:1]
    ranked = [name for name in ranked if not is_native_type(name)]
    ranked.sort(key=lambda name: _FEW_LAST if name in few else _plainness(name))
    first = next(iter(values.most_common(1)), None)
    found = ranked[: _MAX_TYPES - len(native)]
    if first is not None and first[0] in ranked and first[0] not in found:
        found[-1] = first[0]
    return (*found, *native)


def _few(case: Case, based: dict[str, str]) -> set[str]:
    """Return the types that are rare beside what the holder gained: they came by the way."""
    counts = [_renamed(types, based) for types in (case.gained_types, case.value_types)]
    enough = _MIN_SHARE * len(case.values)
    return {
        name
        for types in counts
        for name in types
        if max(types_of[name] for types_of in counts) < enough
    }


def _types_of(graph: HeapGraph, holder: Holder) -> tuple[Counter[str], Counter[str]]:
    """Return the types of the entries by number, and of all that was gained by bytes."""
    row, sizes, flags = graph.node_type, graph.node_size, graph.flags
    namespace = int(NodeFlag.NAMESPACE)
    names = graph.type_names
    entries: Counter[str] = Counter()
    for kind, count in Counter(row[node] for node in holder.entries).items():
        entries[names[kind]] += count
    size_of_row = dict.fromkeys(row, 0)
    for node in holder.gained:  # over millions of objects: no calls in here
        if not flags[node] & namespace:
            size_of_row[row[node]] += sizes[node]
    by_bytes: Counter[str] = Counter()
    for kind, size in size_of_row.items():
        if size:
            by_bytes[names[kind]] += size
    return entries, by_bytes


def _named_by_base(graph: HeapGraph, holder: Holder) -> dict[str, str]:
    """Return the names of classes that came with what was gained, with those of their bases.

    There are as many classes made at run time as a program likes: their base tells more.
    """
    made = {*holder.gained, *holder.entries}
    return {
        graph.type_names[row]: base
        for row, node in enumerate(graph.type_node)
        if node in made and (base := named_base(graph, node, made))
    }


def _renamed(types: Counter[str], based: dict[str, str]) -> Counter[str]:
    found: Counter[str] = Counter()
    for name, count in types.items():
        found[based.get(name, name)] += count
    return found


def _plainness(name: str) -> int:
    """Rank a type by how much it tells: 0 for the program's own, 3 for plain data."""
    if name in _PLAIN:
        return 3
    if not package_of(name):
        return 2
    return 1 if is_standard(name) else 0
