"""Growth: which objects accumulate others, over two or more snapshots of one process.

A *holder* is an object that was there all along and gained something in every interval. Three
shapes of it are looked for, best evidence first:

- a container whose number of elements rose in every interval;
- a slot (an attribute, an entry) whose container was replaced by a longer one in every interval;
- an object below which more and more new objects hang without any container growing, found by the
  nearest old dominator of the new objects: the head of a linked chain, or of another structure.

What a holder is responsible for: the new objects that it reaches; what several holders reach is
shared out among them (BLeak's LeakShare: Vilk and Berger, PLDI 2018).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import compress, pairwise

from memlens import _core
from memlens._core.layout import LABEL_BITS, NONE, EdgeKind, NodeFlag
from memlens.heap.graph import HeapGraph
from memlens.heap.identity import match_graphs

__all__ = ("Growth", "Holder", "find_growth")

_HIDDEN = NodeFlag.OWN | NodeFlag.GARBAGE
_KIND_MASK = (1 << LABEL_BITS) - 1
_LINK_OBJECTS = 12  # a link of a chain is no more objects than this, with its payload
MAX_HOLDERS = 200  # looked at closely; those with the most new elements


@dataclass(slots=True)
class Holder:
    """One object of the last snapshot that gained something in every interval."""

    node: int
    shape: str  # "container", "slot", "chain" or "structure"
    lengths: tuple[int, ...]  # elements (of the last two: objects below), a snapshot each
    entries: list[int]  # the new objects that it refers to directly
    gained: list[int] = field(default_factory=list)  # all the new objects that it reaches
    share_bytes: float = 0.0

    @property
    def count_growth(self) -> int:
        """Elements gained from the first snapshot to the last."""
        return self.lengths[-1] - self.lengths[0]


class Growth:
    """The growth over snapshots of one process, in time order: new objects and their holders."""

    def __init__(self, graphs: Sequence[HeapGraph]) -> None:
        self.graphs = graphs
        self.last = graphs[-1]
        # For each node of the last graph the same object in each earlier one, or NONE.
        self.same = [match_graphs(graph, self.last) for graph in graphs[:-1]]
        self.new = self._new_nodes()

    def _new_nodes(self) -> bytes:
        """Mark the nodes of the last graph that were not in the first, and are the program's."""
        return bytes(
            was == NONE and not flag & _HIDDEN
            for was, flag in zip(self.same[0], self.last.flags, strict=True)
        )

    def nodes_through_time(self, node: int) -> tuple[int, ...] | None:
        """Return a node's number in each graph, None if it was not in all of them."""
        numbers = (*(same[node] for same in self.same), node)
        return None if NONE in numbers else numbers

    @cached_property
    def survived(self) -> bytes:
        """Mark the program's objects that were there in every snapshot."""
        marks = bytearray(not flag & _HIDDEN for flag in self.last.flags)
        marks[0] = 0
        for same in self.same:
            for node in compress(range(len(same)), map(NONE.__eq__, same)):
                marks[node] = 0
        return bytes(marks)

    def new_targets(self, node: int) -> list[int]:
        """Return the new objects that a node refers to directly, once per reference."""
        return [target for target in self.last.strong_targets(node) if self.new[target]]


def find_growth(growth: Growth) -> list[Holder]:
    """Return the holders with what they are responsible for, the largest share first."""
    holders = list(_growing_containers(growth))
    holders += _growing_slots(growth, {holder.node for holder in holders})
    holders = sorted(holders, key=lambda h: -len(h.entries))[:MAX_HOLDERS]
    _reach(growth, holders)
    chains = _chains(growth, holders)
    _reach(growth, chains)
    holders += chains
    _share_out(growth, holders)
    return sorted(holders, key=lambda h: (-h.share_bytes, -h.count_growth, h.node))


# -- containers ----------------------------------------------------------------------------------


def _growing_containers(growth: Growth) -> Iterator[Holder]:
    graphs = growth.graphs
    candidates = _core.grown_rows(graphs[0].edge_offset, growth.last.edge_offset, growth.same[0])
    for node in candidates:
        if not growth.survived[node]:
            continue
        numbers = growth.nodes_through_time(node)
        if numbers is None:
            continue
        lengths = tuple(
            _length(graph, number) for graph, number in zip(graphs, numbers, strict=True)
        )
        if _rises(lengths):
            entries = growth.new_targets(node)
            if entries:
                yield Holder(node, "container", lengths, entries)


def _length(graph: HeapGraph, node: int) -> int:
    length = graph.length_of(node)
    return len(graph.strong_targets(node)) if length is None else length


def _rises(lengths: Sequence[int]) -> bool:
    return all(before < after for before, after in pairwise(lengths))


# -- slots: a container replaced by a longer one ---------------------------------------------------


def _growing_slots(growth: Growth, known: set[int]) -> Iterator[Holder]:
    last = growth.last
    sized = bytearray(last.node_count)  # the new containers
    for node in last.sections["container_node"]:
        sized[node] = growth.new[node]
    edges = _core.edges_between(
        last.edge_offset, last.edge_target, last.edge_label, growth.survived, sized
    )
    for index in edges:
        target = last.edge_target[index]
        if target not in known and last.length_of(target) is not None:
            owner = last.edge_source(index)
            lengths = _slot_lengths(growth, owner, index)
            if lengths is not None and _rises(lengths):
                known.add(target)
                yield Holder(target, "slot", lengths, growth.new_targets(target))


def _slot_lengths(growth: Growth, owner: int, index: int) -> tuple[int, ...] | None:
    """Return the length of what was under the same name of the same owner, a snapshot each."""
    numbers = growth.nodes_through_time(owner)
    last = growth.last
    wanted = last.edge(index, owner)
    if numbers is None or wanted.kind not in (EdgeKind.ATTRIBUTE, EdgeKind.CELL):
        return None  # only a name tells that it is the same slot
    lengths = []
    for graph, number in zip(growth.graphs, numbers, strict=True):
        for edge in graph.edges(number):
            if edge.kind is wanted.kind and edge.name == wanted.name:
                length = graph.length_of(edge.target)
                if length is None or graph.type_of(edge.target) != last.type_of(wanted.target):
                    return None
                lengths.append(length)
                break
        else:
            return None
    return tuple(lengths)


# -- chains ----------------------------------------------------------------------------------------


def _chains(growth: Growth, holders: Iterable[Holder]) -> list[Holder]:
    """Find old objects below which ever more new ones hang that no growing container explains."""
    explained: set[int] = set()
    for holder in holders:
        explained.add(holder.node)
        explained.update(holder.gained)
    counts = [
        _hanging_below(growth, step, explained if step == len(growth.graphs) - 1 else set())
        for step in range(1, len(growth.graphs))
    ]
    found = []
    for node, below in counts[-1].items():
        numbers = growth.nodes_through_time(node)
        if numbers is None:
            continue
        hanging = (0, *(len(c.get(n, ())) for c, n in zip(counts, numbers[1:], strict=True)))
        if not _rises(hanging):
            continue
        # What is replaced again and again hangs new below it too: only more in all is growth.
        lengths = tuple(
            sum(1 for _ in graph.dominators.subtree(number))
            for graph, number in zip(growth.graphs, numbers, strict=True)
        )
        if _rises(lengths):
            is_chain = _depth(growth.last, node, below) * _LINK_OBJECTS >= len(below)
            found.append(Holder(node, "chain" if is_chain else "structure", lengths, below))
    return found


def _depth(graph: HeapGraph, head: int, below: Sequence[int]) -> int:
    """Return how many objects hang one on another at the most, by the dominator tree."""
    dominator = graph.dominators.dominator
    depths: dict[int, int] = {head: 0}
    for node in below:
        trail = []
        while node not in depths:
            trail.append(node)
            node = dominator[node]
        depth = depths[node]
        for passed in reversed(trail):
            depth += 1
            depths[passed] = depth
    return max(depths.values())


def _hanging_below(growth: Growth, step: int, explained: set[int]) -> dict[int, list[int]]:
    """Group what was not in the first graph by its nearest old dominator, in graph ``step``."""
    graph = growth.graphs[step]
    same = growth.same[0] if graph is growth.last else match_graphs(growth.graphs[0], graph)
    dominator, flags = graph.dominators.dominator, graph.flags
    old = bytes(map(NONE.__ne__, same))
    nearest = _core.nearest_marked(dominator, old)
    groups: dict[int, list[int]] = {}
    for node in compress(range(graph.node_count), map(NONE.__eq__, same)):
        found = nearest[node]
        if found not in (0, NONE) and not flags[node] & _HIDDEN and node not in explained:
            groups.setdefault(found, []).append(node)
    return groups


# -- responsibility --------------------------------------------------------------------------------


def _reach(growth: Growth, holders: Iterable[Holder]) -> None:
    """Fill in all the new objects that each holder reaches through new objects."""
    for holder in holders:
        seen: dict[int, None] = dict.fromkeys(holder.entries)
        stack = list(seen)
        while stack:
            for target in growth.new_targets(stack.pop()):
                if target not in seen and target != holder.node:
                    seen[target] = None
                    stack.append(target)
        holder.gained = list(seen)


def _share_out(growth: Growth, holders: Sequence[Holder]) -> None:
    """Give each holder its share of the bytes: what n holders reach counts one n-th for each."""
    reached: dict[int, int] = {}
    for holder in holders:
        for node in holder.gained:
            reached[node] = reached.get(node, 0) + 1
    sizes = growth.last.node_size
    for holder in holders:
        holder.share_bytes = sum(sizes[node] / reached[node] for node in holder.gained)
        if holder.shape == "container":  # its own table grew with it
            numbers = growth.nodes_through_time(holder.node)
            assert numbers is not None
            holder.share_bytes += max(
                0, sizes[holder.node] - growth.graphs[0].node_size[numbers[0]]
            )
