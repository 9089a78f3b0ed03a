"""The treemap of a heap: its dominator tree, cut to the largest objects, with exact totals.

The tree is walked best first: of all objects whose parent is in the picture, the largest comes next.
What is left out of the children of an object is one node, so that where an object has children in the
picture, their retained sizes and its own size add up to what it retains.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from heapq import heappop, heappush
from typing import Any, NamedTuple

from memlens._core.layout import KIND_MASK, LABEL_BITS, NONE, EdgeKind, NodeFlag
from memlens._text import format_bytes, format_count
from memlens.heap.graph import checked_core
from memlens.heap.graph.heap_graph import HeapGraph
from memlens.heap.graph.paths import describe_path, reference_text
from memlens.heap.graph.root_names import root_text
from memlens.heap.snapshot import HeapSnapshot
from memlens.heap.views.branch import object_text, process_bytes
from memlens.heap.views.visibility import HIDDEN, shown_totals
from memlens.report.html.limits import Limits, Texts

__all__ = ("Box", "cut_tree", "treemap_of")

_MANY = 1_000  # children that are ranked by the core, not by Python
_PATHS = 300  # objects, the largest, whose whole path is told
_MAX_HOPS = 60  # of a path
_WEAK, _BY_POSITION = int(EdgeKind.WEAK), int(EdgeKind.INDEX)


class Box(NamedTuple):
    """A node of the picture: an object, or the children of an object that have no own box.

    ``parent`` is the number of a box, -1 for the first one, the process. ``node`` is that of the
    object, that of the parent for a rest. ``object_count`` is the number of objects that the box
    stands for, of a rest that of its topmost objects. ``is_rest`` tells the two kinds apart.
    """

    parent: int
    node: int
    object_count: int
    retained_bytes: int
    shallow_bytes: int
    native_bytes: int
    is_rest: bool


class _Children:
    """The children of one box in the picture: the largest first, the others in one sum."""

    def __init__(self, graph: HeapGraph, node: int, wanted: int) -> None:
        children = _counted(graph, node)
        self._node = node
        self.count = len(children)
        self.order = _largest(graph, children, wanted)
        self.taken = 0

    def shallow_bytes(self, graph: HeapGraph) -> int:
        """Return the sizes of all children themselves."""
        return sum(map(graph.node_size.__getitem__, _counted(graph, self._node)))

    @property
    def next(self) -> int | None:
        """The largest child that is not in the picture."""
        return self.order[self.taken] if self.taken < len(self.order) else None

    @property
    def has_rest(self) -> bool:
        """Whether some children are in the picture and others are not."""
        return 0 < self.taken < self.count


def _counted(graph: HeapGraph, node: int) -> array[int]:
    """Return the children whose sizes are part of their parent's: below the process, those shown."""
    children = graph.dominators.children(node)
    if node:
        return children
    flags = graph.flags
    return array("I", [child for child in children if not flags[child] & HIDDEN])


def _largest(graph: HeapGraph, children: array[int], wanted: int) -> array[int]:
    """Return the ``wanted`` children that retain the most, the largest first, without hidden ones."""
    retained, flags = graph.dominators.retained, graph.flags
    if len(children) <= _MANY:
        shown = [child for child in children if not flags[child] & HIDDEN]
        return array("I", sorted(shown, key=lambda child: (-retained[child], child))[:wanted])
    sizes = array("Q", [0])  # the core leaves node 0 out
    sizes.extend(map(retained.__getitem__, children))
    marks = array("H", [0])
    marks.extend(map(flags.__getitem__, children))
    ranked = checked_core.largest_nodes(sizes, marks, wanted, HIDDEN)
    return array("I", [children[place - 1] for place in ranked])


def cut_tree(graph: HeapGraph, limit: int) -> list[Box]:
    """Return at most ``limit`` boxes of the dominator tree, parents first, the largest first."""
    total = process_bytes(graph)
    boxes = [Box(-1, 0, 1, total, graph.node_size[0], _native(graph, 0), False)]
    families: list[_Children] = []
    queue: list[tuple[int, int, int]] = []  # size, node, and the number of the parent's box

    def offer(box: int) -> None:
        child = families[box].next
        if child is not None:
            heappush(queue, (-graph.retained_bytes(child), child, box))

    families.append(_Children(graph, 0, limit))
    offer(0)
    rests = 0
    while queue:
        _, node, parent = queue[0]
        family = families[parent]
        more = family.count > family.taken + 1  # then the family has a rest, too
        if len(boxes) + 1 + rests - family.has_rest + more > limit:
            break
        heappop(queue)
        rests += more - family.has_rest
        family.taken += 1
        boxes.append(_box(graph, node, parent))
        families.append(_Children(graph, node, limit - len(boxes)))
        offer(parent)
        offer(len(boxes) - 1)
    return boxes + list(_rests(graph, boxes, families))


def _box(graph: HeapGraph, node: int, parent: int) -> Box:
    retained, shallow = graph.retained_bytes(node), graph.node_size[node]
    return Box(parent, node, 1, retained, shallow, _native(graph, node), False)


def _rests(graph: HeapGraph, boxes: list[Box], families: list[_Children]) -> Iterator[Box]:
    """Yield the box for what each family leaves out: the difference, so that the sum is exact."""
    inside = [[box.shallow_bytes, _own_native(graph, box.node)] for box in boxes]
    shown = [0] * len(boxes)
    for box in boxes[1:]:
        shown[box.parent] += box.shallow_bytes
        inside[box.parent][0] += box.retained_bytes
        inside[box.parent][1] += box.native_bytes
    for number, (box, family) in enumerate(zip(boxes, families, strict=True)):
        if family.has_rest:
            size = box.retained_bytes - inside[number][0]
            native = box.native_bytes - inside[number][1]
            count = family.count - family.taken
            shallow = family.shallow_bytes(graph) - shown[number]
            yield Box(number, box.node, count, size, shallow, max(native, 0), True)


def _native(graph: HeapGraph, node: int) -> int:
    return graph.retained_native_bytes(node) + graph.retained_device_bytes(node)


def _own_native(graph: HeapGraph, node: int) -> int:
    return graph.node_size[node] if graph.kind_of(node) is not None else 0


def treemap_of(snapshot: HeapSnapshot, limits: Limits) -> dict[str, Any]:
    """Return the treemap of a snapshot."""
    graph = snapshot.graph
    boxes = cut_tree(graph, limits.nodes)
    names, types = Texts(limits.text), Texts(limits.text)
    paths = [_path_text(graph, box.node) if not box.is_rest else "" for box in boxes[:_PATHS]]
    path_numbers = [names.number(path) if path else -1 for path in paths]
    return {
        "total_bytes": boxes[0].retained_bytes,
        "shown_bytes": shown_totals(graph).total_bytes,
        "parent": [box.parent for box in boxes],
        "name": [names.number(text) for text in _names(graph, boxes)],
        "type": [types.number("" if box.is_rest or not box.node else graph.type_of(box.node))
                 for box in boxes],
        "count": [box.object_count for box in boxes],
        "retained": [box.retained_bytes for box in boxes],
        "shallow": [box.shallow_bytes for box in boxes],
        "native": [box.native_bytes for box in boxes],
        "path": path_numbers + [-1] * (len(boxes) - len(path_numbers)),
        "names": names.all,
        "types": types.all,
        "omitted": _omitted(graph, boxes),
    }  # fmt: skip


def _omitted(graph: HeapGraph, boxes: list[Box]) -> dict[str, Any] | None:
    shown = sum(not box.is_rest for box in boxes) - 1
    total = sum(1 for flag in graph.flags if not flag & HIDDEN) - 1
    if shown >= total:
        return None
    rest = sum(box.retained_bytes for box in boxes if box.is_rest)
    text = (
        f"The {format_count(shown)} largest of {format_count(total)} objects have a box of their own;"
        f" boxes for several objects stand for {format_bytes(rest)} of the others"
    )
    return {"text": text}


# -- names ---------------------------------------------------------------------------------------


def _names(graph: HeapGraph, boxes: list[Box]) -> Iterator[str]:
    wanted: dict[int, set[int]] = {}
    for box in boxes:
        if box.node and not box.is_rest:
            wanted.setdefault(boxes[box.parent].node, set()).add(box.node)
    edges: dict[int, int] = {}
    for parent, children in wanted.items():
        if parent:
            edges.update(_edges_to(graph, parent, children))
    for box in boxes:
        if box.is_rest:
            yield f"{format_count(box.object_count)} more objects"
        elif not box.node:
            yield f"process {graph.facts.get('pid', '')}"
        else:
            yield _name(graph, box.node, edges.get(box.node))


def _edges_to(graph: HeapGraph, source: int, wanted: set[int]) -> dict[int, int]:
    """Return the best-named strong reference from an object, or its namespace, to some others."""
    sources = [source]
    if graph.edge_offset[source + 1] - graph.edge_offset[source] <= _MANY:
        sources += [
            target
            for target in graph.strong_targets(source)
            if graph.node_flags[target] & NodeFlag.NAMESPACE
        ]
    named: dict[int, int] = {}
    unnamed: dict[int, int] = {}
    for one in sources:
        start, end = graph.edge_offset[one], graph.edge_offset[one + 1]
        pairs = zip(graph.edge_target[start:end], graph.edge_label[start:end], strict=True)
        for edge, (target, label) in enumerate(pairs, start):
            kind = label & KIND_MASK
            if target in wanted and kind != _WEAK:
                is_named = kind == _BY_POSITION or label >> LABEL_BITS
                (named if is_named else unnamed).setdefault(target, edge)
    return unnamed | named


def _name(graph: HeapGraph, node: int, edge: int | None) -> str:
    """Return how the parent refers to an object; else who refers to it first."""
    what = object_text(graph, node)
    if edge is not None:
        reference = graph.edge(edge, graph.edge_source(edge))
        text = reference_text(reference, None, graph.type_of(node)).strip()
        return f"{text}   {what}" if text else what
    first = graph.path_edges[node]
    if first == NONE:
        return what
    source = graph.edge_source(first)
    if not source:
        root = root_text(graph, first)
        return what if root in what or what in root else f"{root}   {what}"
    text = reference_text(graph.edge(first, source), None, graph.type_of(node))
    return f"{graph.name_of(source) or graph.type_of(source)}{text}   {what}"


def _path_text(graph: HeapGraph, node: int) -> str:
    """Return the best path to an object, ``""`` where it is garbage or its path is very long."""
    edges: list[int] = []
    while node and len(edges) <= _MAX_HOPS:
        edge = graph.path_edges[node]
        if edge == NONE:
            return ""
        edges.append(edge)
        node = graph.edge_source(edge)
    return "" if node or not edges else str(describe_path(graph, edges[::-1]))
