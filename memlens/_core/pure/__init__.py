"""The core in pure Python: the reference that the C core is tested against, and its stand-in."""

from __future__ import annotations

from memlens._core.pure.capture import capture
from memlens._core.pure.counts import count_types, match_nodes
from memlens._core.pure.dominators import dominator_tree
from memlens._core.pure.search import reverse_edges, shortest_paths

__all__ = (
    "capture",
    "count_types",
    "dominator_tree",
    "match_nodes",
    "reverse_edges",
    "shortest_paths",
)
