"""The core in pure Python: the reference for tests of the C core, and its replacement."""

from __future__ import annotations

from memlens._core.pure.capture import capture
from memlens._core.pure.counts import (
    count_types,
    largest_nodes,
    mark_matched,
    match_nodes,
    match_runs,
    matches_of_runs,
)
from memlens._core.pure.dominators import dominator_tree
from memlens._core.pure.growth import birth_steps, mark_born, reach_marked, share_sizes
from memlens._core.pure.places import place_keys
from memlens._core.pure.reach import edges_between, reached_nodes
from memlens._core.pure.rows import (
    chosen_lengths,
    group_nodes,
    number_keys,
    row_gains,
    row_lengths,
    unlisted_nodes,
)
from memlens._core.pure.scans import (
    edges_labelled,
    is_ascending,
    mark_buffers,
    mark_containers,
    mostly_flagged,
    nodes_flagged,
    nodes_of_types,
    text_keys,
)
from memlens._core.pure.search import reverse_edges, shortest_paths
from memlens._core.pure.texts import decimal_rows, identity_numbers
from memlens._core.pure.trees import (
    children_rows,
    nearest_marked,
    retained_by_group,
    spread_flags,
    subtree_sums,
)

__all__ = (
    "birth_steps",
    "capture",
    "children_rows",
    "chosen_lengths",
    "count_types",
    "decimal_rows",
    "dominator_tree",
    "edges_between",
    "edges_labelled",
    "group_nodes",
    "identity_numbers",
    "is_ascending",
    "largest_nodes",
    "mark_born",
    "mark_buffers",
    "mark_containers",
    "mark_matched",
    "match_nodes",
    "match_runs",
    "matches_of_runs",
    "mostly_flagged",
    "nearest_marked",
    "nodes_flagged",
    "nodes_of_types",
    "number_keys",
    "place_keys",
    "reach_marked",
    "reached_nodes",
    "retained_by_group",
    "reverse_edges",
    "row_gains",
    "row_lengths",
    "share_sizes",
    "shortest_paths",
    "spread_flags",
    "subtree_sums",
    "text_keys",
    "unlisted_nodes",
)
