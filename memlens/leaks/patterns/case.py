"""What a rule looks at, and what it answers."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

from memlens._core.layout import EdgeKind, NodeFlag
from memlens._frame import Frame, is_library_file
from memlens.heap.graph.heap_graph import Edge, HeapGraph
from memlens.heap.graph.paths import RetentionPath
from memlens.leaks.growth import Growth, Holder
from memlens.leaks.mentions import Mention, functions_calling

__all__ = (
    "DATA",
    "FUNCTIONS",
    "LRU_CACHE",
    "Case",
    "Diagnosis",
    "is_standard",
    "named_base",
    "package_of",
)

_MAX_EDGES = 20_000  # looked at; of more, a sample
_MAX_CALLERS = 3  # that a suggestion names
_MAX_MENTIONS = 3  # functions that a suggestion names
LRU_CACHE = "functools._lru_cache_wrapper"
FUNCTIONS = frozenset({"function", "method", "builtin_function_or_method", "functools.partial"})
DATA = frozenset(
    "str bytes int float bool complex tuple frozenset NoneType uuid.UUID datetime.datetime"
    " datetime.date decimal.Decimal fractions.Fraction pathlib.PosixPath yarl.URL".split()
)


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What a rule says: the pattern, what it saw, and what to do."""

    pattern: str | None
    evidence: str
    suggestion: str


def package_of(type_name: str) -> str:
    """Return the top-level package of a qualified name, ``""`` of a built-in type."""
    package, dot, _ = type_name.partition(".")
    return package if dot else ""


def is_standard(type_name: str) -> bool:
    """Tell whether a type is built in or of the standard library."""
    package = package_of(type_name)
    return not package or package in sys.stdlib_module_names


def named_base(graph: HeapGraph, node: int, made: Collection[int]) -> str:
    """Return the name of the nearest base of a class that is not among those made at run time.

    ``""`` where that is ``object``: such a class has only its own name.
    """
    while node in made:
        base = next((edge.target for edge in graph.edges(node) if edge.name == "__base__"), None)
        if base is None:
            return ""
        node = base
    name = graph.name_of(node)
    return "" if name == "object" else name


def _by_name(graph: HeapGraph, rows: Counter[int]) -> Counter[str]:
    """Return counts by the names of types, given those by row of the type table."""
    found: Counter[str] = Counter()
    for row, count in rows.items():
        found[graph.type_names[row]] += count
    return found


@dataclass(frozen=True)
class Case:
    """One growing holder with what a rule may want to know of it."""

    growth: Growth
    holder: Holder
    subject: int  # the node that the suspect is named after
    path: RetentionPath
    text: str  # what the suspect is called
    mentions: Sequence[Mention] = ()

    @property
    def graph(self) -> HeapGraph:
        """The last snapshot's."""
        return self.growth.last

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
    def edges(self) -> list[Edge]:
        """The references of what accumulates: of a cluster, of all its containers.

        Of very many a sample: every so many pairs of a key and a value.
        """
        graph = self.graph
        nodes = self.holder.members or (self.holder.node,)
        offsets = graph.edge_offset
        count = sum(offsets[node + 1] - offsets[node] for node in nodes)
        stride = 2 * (count // _MAX_EDGES + 1)
        return [
            graph.edge(index, node)
            for node in nodes
            for start in range(offsets[node], offsets[node + 1], stride)
            for index in range(start, min(start + 2, offsets[node + 1]))
        ]

    @cached_property
    def values(self) -> list[int]:
        """What was added: the values of a mapping, the members of anything else."""
        entries = set(self.holder.entries)
        edges = [e for e in self.edges if e.target in entries]
        values = [e.target for e in edges if e.kind is EdgeKind.KEY]
        if not values:
            values = [e.target for e in edges if not (e.kind is EdgeKind.ITEM and self.is_mapping)]
        return values or list(self.holder.entries)

    @cached_property
    def is_mapping(self) -> bool:
        """Whether what accumulates has keys."""
        return any(edge.kind in (EdgeKind.KEY, EdgeKind.ATTRIBUTE) for edge in self.edges)

    @cached_property
    def key_types(self) -> Counter[str]:
        """The types of a mapping's keys."""
        if not self.is_mapping:
            return Counter()
        return Counter(
            self.graph.type_of(edge.target) for edge in self.edges if edge.kind is EdgeKind.ITEM
        )

    @cached_property
    def value_types(self) -> Counter[str]:
        """The types of what was added."""
        return Counter(self.graph.type_of(node) for node in self.values)

    @cached_property
    def gained_types(self) -> Counter[str]:
        """The types of all that came with it, without tables of attributes and native blocks."""
        graph, left_out = self.graph, int(NodeFlag.NAMESPACE | NodeFlag.NATIVE)
        flags, row = graph.flags, graph.node_type
        rows = Counter(row[node] for node in self.holder.gained if not flags[node] & left_out)
        return _by_name(graph, rows)

    @cached_property
    def kind(self) -> str:
        """The type of most of what was added, ``""`` where nothing was."""
        return next((name for name, _ in self.value_types.most_common(1)), "")

    def share_of(self, kinds: Collection[str]) -> float:
        """Return which part of what was added is of some types."""
        found = sum(count for kind, count in self.value_types.items() if kind in kinds)
        return found / len(self.values) if self.values else 0.0

    def mostly(self, flag: NodeFlag) -> bool:
        """Tell whether most of what was added has a flag."""
        marked = sum(1 for node in self.values if self.graph.has(node, flag))
        return marked * 2 > len(self.values)

    def _distance(self, mention: Mention) -> tuple[bool, bool, bool, bool]:
        """Order mentions: the program's code first, then what adds, then the owner's class."""
        owners = {hop.type_name.rpartition(".")[2] for hop in self.path.hops[:-1]}
        outer = mention.function.rpartition(".")[0].rpartition(".")[2]
        return (
            is_library_file(mention.location.file),
            mention.function.endswith(("__init__", "<module>")),
            not mention.adds,
            outer not in owners,
        )

    def _definition(self, function: str) -> Frame | None:
        """Return the file and line of a function if no other has its name."""
        graph = self.graph
        places = {
            graph.location_of(node)
            for node in graph.sections["name_node"]
            if graph.name_of(node) == function and graph.type_of(node) == "code"
        }
        return places.pop() if len(places) == 1 else None

    def _where_defined(self, function: str) -> str:
        """Say to look at a function, with its file and line if they are known."""
        place = self._definition(function)
        return f" Look at {function}" + (f" ({place.package_location})." if place else ".")

    @property
    def nearest_mentions(self) -> list[Mention]:
        """Return the functions that `where` names first, the one to look at before the others."""
        function, _, place = self.path.root.partition("() ")
        if not place and not self.path.root.endswith("()"):
            return sorted(self.mentions, key=self._distance)[:_MAX_MENTIONS]
        name = function.removesuffix("()").split()[-1]
        definition = self._definition(name)
        return [] if definition is None else [Mention(name, definition, False)]

    def where(self) -> str:
        """Say which code to look at: what adds to the holder, and the program's calls of that."""
        function, _, place = self.path.root.partition("() ")
        if place:  # a local: its function is what adds to it, or hands it on
            return f" Look at {function.split()[-1]} {place}."
        if self.path.root.endswith("()"):  # a local of a suspended function: many mention its name
            return self._where_defined(self.path.root.split()[-1].removesuffix("()"))
        if not self.mentions:
            return ""
        first = self.nearest_mentions
        text = f" Look at the code that uses {self.name}: {'; '.join(map(str, first))}"
        adding = [mention for mention in first if mention.adds] or first
        callers = [
            caller for mention in adding for caller in functions_calling(self.graph, mention)
        ]
        callers = [one for one in dict.fromkeys(callers) if one not in first][:_MAX_CALLERS]
        if callers:
            text += f"; called by {'; '.join(map(str, callers))}"
        return f"{text}."
