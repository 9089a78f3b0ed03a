"""Growth: the same objects in two or more snapshots of one process, and when each was born.

A *holder* is a place that accumulated objects for as long as it has lived. `find_growth` says how
holders are looked for.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

from memlens._core.layout import NONE, NodeFlag, RootKind
from memlens.heap.graph import checked_core
from memlens.heap.graph.heap_graph import HeapGraph
from memlens.heap.graph.matching import match_graphs
from memlens.heap.graph.native_blocks import NativeKind
from memlens.leaks.places import PlaceIndex
from memlens.progress import reached

__all__ = ("HIDDEN", "NOT_ELEMENTS", "Growth", "Holder", "Shared", "informative_steps", "length_in")

HIDDEN = int(NodeFlag.OWN | NodeFlag.GARBAGE)  # a plain int: `&` with a Flag is ten times slower
NOT_ELEMENTS = HIDDEN | int(NodeFlag.NATIVE)  # a block belongs to an element, and is none itself
_MIN_INTERVAL_SHARE = 0.25  # of the mean interval; shorter ones say little and are merged
_MIN_ENDING_SHARE = 0.6  # of the mean interval, where the program's work ended in the last one


@dataclass(slots=True)
class Holder:
    """An object of the last snapshot, or several in one place, that accumulate others.

    ``shape``: ``container``; ``cluster`` (many containers of one place); ``slot`` (replaced by a
    longer one under the same name); ``buffer`` (its own memory grows); ``chain`` (a linked
    structure); ``structure``; ``native`` (objects that native code holds) or ``garbage``.
    ``start``: the snapshot in which its history begins. ``lengths``: a number for each snapshot
    from there on: of elements; of a chain, of its objects; of a buffer, of its bytes. ``members``:
    the containers of a cluster. ``native_bytes``: the part of ``share_bytes`` that is native memory.
    """

    node: int
    shape: str
    start: int
    lengths: tuple[int, ...]
    entries: list[int]  # the elements gained since `start`
    gained: Sequence[int] = ()  # all the new objects that they reach
    share_bytes: float = 0.0
    members: tuple[int, ...] = ()
    native_bytes: dict[NativeKind, float] = field(default_factory=dict)

    @property
    def count_growth(self) -> int:
        """Elements gained since the holder's history begins; of a buffer, none."""
        return 0 if self.shape == "buffer" else self.lengths[-1] - self.lengths[0]


class Matches:
    """The same objects in two snapshots, in little memory until they are needed.

    While the places of the snapshots are found, these columns would be a third of all memory. Most
    objects are where they were, relative to their neighbours, so that runs of them are few.
    """

    def __init__(self, column: array[int]) -> None:
        runs = checked_core.match_runs(column)
        self._count = len(column)
        self._stored = runs if 2 * len(runs) < len(column) else column

    def column(self) -> array[int]:
        """Return for each node the same object's node before, or ``NONE``."""
        if self._stored.typecode == "I":
            return self._stored
        return checked_core.matches_of_runs(self._stored, self._count)


class Shared:
    """What analyses of the same graphs share: their places and the identities of objects.

    The graphs go by their ``id()``, so they must live as long as this.
    """

    def __init__(self) -> None:
        self._same: dict[tuple[int, int], Matches] = {}
        self._places: dict[int, PlaceIndex] = {}
        self._function_keys: dict[tuple[int, int], int] = {}

    def same(self, before: HeapGraph, after: HeapGraph) -> Matches:
        """Return for each node of ``after`` the same object's node in ``before``, or ``NONE``."""
        pair = id(before), id(after)
        if pair not in self._same:
            self._same[pair] = Matches(match_graphs(before, after))
        return self._same[pair]

    def places(self, graph: HeapGraph, *, is_last: bool) -> PlaceIndex:
        """Return the places of a graph; of the last one of an analysis the keys stay, too."""
        if id(graph) not in self._places:
            self._places[id(graph)] = PlaceIndex(
                graph, HIDDEN, is_last=is_last, function_keys=self._function_keys
            )
        return self._places[id(graph)]

    def forget(self, graph: HeapGraph) -> None:
        """Let go of what is known of a graph in which all holders are found."""
        self._places.pop(id(graph), None)
        for pair in [pair for pair in self._same if id(graph) in pair]:
            del self._same[pair]


class Growth:
    """Snapshots of one process in time order, with the identity of every object through them.

    ``seconds``: when each was taken, on one clock. ``shared``: what another analysis of some of
    the same graphs has found out.
    """

    def __init__(
        self,
        graphs: Sequence[HeapGraph],
        seconds: Sequence[float],
        shared: Shared | None = None,
    ) -> None:
        self.graphs = graphs
        self.seconds = list(seconds)
        self.last = graphs[-1]
        self._shared = shared or Shared()
        self._matches = [self._shared.same(before, after) for before, after in pairwise(graphs)]
        self._born: dict[int, array[int]] = {}

    @cached_property
    def same(self) -> list[array[int]]:
        """For each node of graph k + 1 the same object's node in graph k, or ``NONE``."""
        return [matches.column() for matches in self._matches]

    @cached_property
    def births(self) -> array[int]:
        """For each node of the last graph, the snapshot in which the object was first seen."""
        return checked_core.birth_steps(self.same, self.graphs[0].node_count)

    @property
    def end(self) -> int:
        """The number of the last snapshot."""
        return len(self.graphs) - 1

    def match(self, before: HeapGraph, after: HeapGraph) -> array[int]:
        """Return for each node of ``after`` the same object's node in ``before``, or ``NONE``."""
        return self._shared.same(before, after).column()

    def places(self, step: int) -> PlaceIndex:
        """Return the places of one snapshot."""
        return self._shared.places(self.graphs[step], is_last=step == self.end)

    def find_places(self) -> None:
        """Find the places of all snapshots, the last one's last: they take the most memory."""
        for step in range(len(self.graphs)):
            self.places(step)
            reached((step + 1) / len(self.graphs))

    def forget(self) -> None:
        """Let go of what only the search for holders needs: places, and who is who.

        They take most of the memory. When each object was born is still known.
        """
        self.forget_same()
        self._matches.clear()
        for graph in self.graphs:
            self._shared.forget(graph)

    def visible(self, nodes: set[int], step: int) -> set[int]:
        """Return those nodes of a snapshot that are the program's and reachable."""
        return self.places(step).visible(nodes)

    def forget_same(self) -> None:
        """Free the columns of `same`, which are made again when they are used."""
        _ = self.births  # is made of them
        self.__dict__.pop("same", None)

    @property
    def new(self) -> array[int]:
        """Mark the nodes of the last graph that were not in the first, and are the program's."""
        return self.born_since(0)

    def born_since(self, since: int) -> array[int]:
        """Mark the nodes of the last graph born after a snapshot that are the program's."""
        if since not in self._born:
            self._born[since] = checked_core.mark_born(self.births, since, self.last.flags, HIDDEN)
        return self._born[since]

    def earlier(self, node: int, step: int) -> int:
        """Return the same object one snapshot before ``step``, or ``NONE``."""
        return self.same[step - 1][node]

    def lengths(self, nodes: Sequence[int], step: int) -> array[int]:
        """Return the number of elements of some objects of a snapshot, or of their references."""
        graph = self.graphs[step]
        return checked_core.chosen_lengths(
            graph.edge_offset,
            graph.edge_label,
            graph.sections["container_node"],
            graph.sections["container_length"],
            nodes if isinstance(nodes, array) else array("I", nodes),
        )

    def gains(self, nodes: Iterable[int]) -> dict[int, int]:
        """Return by how much objects of the last graph are longer than one snapshot before.

        Those that are new or not longer are left out.
        """
        same = self.same[-1]
        there = array("I", [node for node in nodes if same[node] != NONE])
        before = self.lengths(array("I", map(same.__getitem__, there)), self.end - 1)
        pairs = zip(there, self.lengths(there, self.end), before, strict=True)
        return {node: length - was for node, length, was in pairs if length > was}

    def history(self, node: int) -> list[int]:
        """Return an object's nodes, from the snapshot of its birth to the last."""
        nodes = [node]
        for step in range(self.end, self.births[node], -1):
            nodes.append(self.same[step - 1][nodes[-1]])
        return nodes[::-1]

    def is_new(self, node: int, since: int) -> bool:
        """Tell whether an object of the last graph was born after snapshot ``since``."""
        return self.births[node] > since and not self.last.flags[node] & HIDDEN

    @cached_property
    def imports(self) -> list[bool]:
        """For each interval, whether modules were imported from files in it."""
        counts = [_imported_modules(graph) for graph in self.graphs]
        return [after > before for before, after in pairwise(counts)]


def _imported_modules(graph: HeapGraph) -> int:
    return sum(
        1
        for root, kind in enumerate(graph.root_kind)
        if kind == RootKind.MODULE and graph.location_of(graph.edge_target[root]) is not None
    )


def length_in(graph: HeapGraph, node: int) -> int:
    """Return the number of elements of a container, of anything else that of its references."""
    length = graph.length_of(node)
    return len(graph.strong_targets(node)) if length is None else length


def informative_steps(seconds: Sequence[float], *, is_ending: bool = False) -> list[int]:
    """Choose the snapshots to look at, so that no interval is much shorter than the others.

    An interval that is short says little: a holder may not have grown in it. The first and the last
    snapshot always stay, and three stay of three or more. ``is_ending``: the program's work ended
    somewhere in the last interval, which says still less where it is shorter than the others.
    """
    steps = list(range(len(seconds)))
    while len(steps) > 3:
        gaps = [seconds[b] - seconds[a] for a, b in pairwise(steps)]
        mean = (seconds[-1] - seconds[0]) / len(gaps)
        if is_ending and gaps[-1] < _MIN_ENDING_SHARE * mean:
            del steps[-2]
            is_ending = False
            continue
        shortest = min(range(len(gaps)), key=gaps.__getitem__)
        if gaps[shortest] >= _MIN_INTERVAL_SHARE * mean:
            break
        del steps[shortest if shortest == len(gaps) - 1 else shortest + 1]
    return steps


def unhidden(graph: HeapGraph, nodes: Iterable[int]) -> list[int]:
    """Return those nodes that are the program's and reachable."""
    return [node for node in nodes if not graph.flags[node] & HIDDEN]
