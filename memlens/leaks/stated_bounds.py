"""What grows and still is no leak: a cache below its bound, and what warms up once."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from memlens._core.layout import NodeFlag
from memlens._display import displayed
from memlens._text import format_count
from memlens.heap.graph.heap_graph import HeapGraph
from memlens.heap.graph.paths import RetentionPath
from memlens.leaks.growth import Growth, Holder

__all__ = ("BoundedHolder", "stated_bound", "warms_up")

# Tables of the standard library, with the most entries that its code lets them have.
_CAPS = {"re._cache": 512, "re._cache2": 256, "_strptime._regex_cache": 6}
# Tables that any program fills once: told from a leak only by a third snapshot.
_WARM = frozenset(
    "linecache.cache re._cache re._cache2 sre_compile._cache sys.modules sys.path_importer_cache"
    " encodings._cache typing._cleanups copyreg.dispatch_table warnings.filters tokenize._compile"
    " fnmatch._compile_pattern struct._cache urllib.parse._parse_cache mimetypes._db"
    " functools.singledispatch locale._setlocale ctypes._c_functype_cache".split()
)
_WARM_ROOTS = (
    "typing.",
    "re.",
    "abc.",
    "_abc.",
    "importlib.",
    "enum.",
    "<interpreter: sys.modules",
)


@displayed
@dataclass(frozen=True, slots=True)
class BoundedHolder:
    """What grew in every interval, but says how far: ``bound`` elements; it has ``length`` now."""

    holder: str
    holder_type: str
    length: int
    bound: int

    def __repr__(self) -> str:
        return f"<BoundedHolder {self}>"

    def __str__(self) -> str:
        return (
            f"{self.holder} bounded at {format_count(self.bound)}"
            f" (holds {format_count(self.length)})"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON-ready values."""
        return asdict(self)


def stated_bound(growth: Growth, holder: Holder, subject: int, text: str) -> int | None:
    """Return the most elements that a holder says it keeps, None where it says nothing.

    ``maxlen`` of a deque, ``maxsize`` of a cache, or an attribute of its owner that names a cap
    and that it has kept to so far. For tables of the standard library, which ``text`` names, the cap
    in its code.
    """
    graph = growth.last
    cap = _CAPS.get(text)
    if cap is not None and holder.lengths[-1] <= cap:
        return cap
    for node in (subject, *(holder.members or (holder.node,))):
        bound = graph.bound_of(node)
        if bound is not None:
            return bound
    return None


def warms_up(graph: HeapGraph, holder: Holder, path: RetentionPath) -> bool:
    """Tell whether a holder is one that programs fill at their start: imports and warm caches."""
    text = str(path)
    return (
        text in _WARM
        or text.startswith(_WARM_ROOTS)
        or "__warningregistry__" in text
        or graph.has(holder.node, NodeFlag.NAMESPACE)
        or any(graph.type_of(node) == "module" for node in holder.entries)
    )
