"""NotebookMemory: the objects that the names, the outputs and the last traceback of a session keep."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from memlens._display import displayed
from memlens._rows import Rows
from memlens._text import format_bytes, format_change
from memlens.heap.graph.heap_graph import HeapGraph

__all__ = ("KeptObject", "NotebookMemory", "growth_by_cell", "kept_objects")

_LEFT_OUT = frozenset({"module", "function", "type", "builtin_function_or_method", "method"})
_MIN_BYTES = 1024


@displayed
@dataclass(frozen=True, slots=True)
class KeptObject:
    """An object that a notebook keeps: its size, its holders and how to release it.

    ``retained_bytes``: what would be freed with it. ``holders``: ``the name df, assigned in cell
    In [7]``, ``Out[12]``. ``cell``: the cell that left it behind; None if it was there before memlens.
    ``grew_in``: the cells after which it retained more than before, of those that snapshots followed.
    """

    type_name: str
    retained_bytes: int
    holders: tuple[str, ...]
    advice: str
    cell: str | None = None
    is_new: bool = False
    grew_in: tuple[str, ...] = ()

    def __str__(self) -> str:
        size = format_bytes(self.retained_bytes)
        return f"{self.type_name}, retains {size}, kept by {'; '.join(self.holders)}: {self.advice}"

    def __repr__(self) -> str:
        size = format_bytes(self.retained_bytes)
        return f"<KeptObject {self.type_name}: {size}, {len(self.holders)} holders>"


class NotebookMemory(Rows[KeptObject]):
    """What a notebook keeps, the largest retained size first.

    ``growth_bytes`` is the growth of the heap since ``since``, the cell of ``%leaks start``; both are
    None without it. Objects that came since then are marked ``new``.
    """

    headers = ("retained", "", "cell", "type", "kept by, and how to release it")
    aligned_right = (True, False, False, False, False)
    wrap = True
    min_last = 24

    def __init__(
        self, rows: Sequence[KeptObject], growth_bytes: int | None = None, since: str | None = None
    ) -> None:
        super().__init__(sorted(rows, key=lambda row: -row.retained_bytes))
        self.growth_bytes = growth_bytes
        self.since = since

    @property
    def title(self) -> str:
        """How many objects the notebook keeps, and by how much the heap grew."""
        objects = "1 object" if len(self) == 1 else f"{len(self)} objects"
        text = f"The notebook keeps {objects} of {format_bytes(_MIN_BYTES)} or more"
        if self.growth_bytes is not None:
            text += (
                f"; since cell {self.since} the heap changed by {format_change(self.growth_bytes)}"
            )
        return text

    def _lines(self, row: KeptObject) -> Iterator[tuple[str, ...]]:
        start = (format_bytes(row.retained_bytes), "new" if row.is_new else "", row.cell or "")
        grew = [f"grew in {', '.join(row.grew_in)}"] if row.grew_in else []
        first, *rest = [*row.holders, *grew, f"-> {row.advice}"]
        yield (*start, row.type_name, first)
        yield from (("", "", "", "", text) for text in rest)


def growth_by_cell(
    steps: Sequence[tuple[str, HeapGraph]], address: int, since: str | None
) -> tuple[str, ...]:
    """Return in which steps an object came to retain more, by at least `_MIN_BYTES`.

    ``steps``: names of cells and the heaps after them, oldest first; the first is that to compare
    with. ``since``: the cell after which the object was first there: before it, the address belonged
    to another one; None if it was there at the first step.
    """
    names = [name for name, _ in steps]
    begin = 0 if since is None else names.index(since) if since in names else 1
    sizes = []
    for _, graph in steps[begin:]:
        node = graph.find_address(address)
        sizes.append(None if node is None else (graph.type_of(node), graph.retained_bytes(node)))
    grew = []
    for name, before, after in zip(names[begin + 1 :], sizes, sizes[1:], strict=False):
        if before is None or after is None or before[0] != after[0]:
            continue
        if after[1] - before[1] >= _MIN_BYTES:
            grew.append(name)
    return tuple(grew)


def kept_objects(
    graph: HeapGraph,
    holders: Mapping[int, Sequence[str]],
    advice: Mapping[int, str],
    cells: Mapping[int, str | None],
    old: frozenset[int] | None,
    grew_in: Mapping[int, tuple[str, ...]] = MappingProxyType({}),
) -> list[KeptObject]:
    """Return the objects with these holders that the graph contains and that are not small.

    All mappings are by address. ``old``: the addresses of objects that were there before; None if
    that is not known.
    """
    found = []
    for address, texts in holders.items():
        node = graph.find_address(address)
        if node is None or graph.type_of(node) in _LEFT_OUT:
            continue
        size = graph.retained_bytes(node)
        if size >= _MIN_BYTES:
            found.append(
                KeptObject(
                    type_name=graph.type_of(node),
                    retained_bytes=size,
                    holders=tuple(texts),
                    advice=advice[address],
                    cell=cells.get(address),
                    is_new=old is not None and address not in old,
                    grew_in=grew_in.get(address, ()),
                )
            )
    return found
