"""The core in pure Python: the reference for tests of the C core, and its replacement."""

from __future__ import annotations

from memlens._core.pure.capture import capture
from memlens._core.pure.counts import (
    count_types,
    identity_keys,
    largest_nodes,
    mark_matched,
    match_nodes,
)
from memlens._core.pure.dominators import dominator_tree
from memlens._core.pure.places import place_keys
from memlens._core.pure.reach import edges_between, grown_rows, reached_nodes
from memlens._core.pure.search import reverse_edges, shortest_paths
from memlens._core.pure.trees import (
    children_rows,
    nearest_marked,
    retained_by_group,
    spread_flags,
)

__all__ = (
    "capture",
    "children_rows",
    "count_types",
    "dominator_tree",
    "edges_between",
    "grown_rows",
    "identity_keys",
    "largest_nodes",
    "mark_matched",
    "match_nodes",
    "nearest_marked",
    "place_keys",
    "reached_nodes",
    "retained_by_group",
    "reverse_edges",
    "shortest_paths",
    "spread_flags",
)
