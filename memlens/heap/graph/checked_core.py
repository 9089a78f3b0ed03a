"""The functions of the core, with our error for a heap whose columns are inconsistent.

The core checks the columns that it gets and raises ``ValueError``, the pure one sometimes
``OverflowError``. The columns of a heap come from a capture or a file, so here these errors become
a ``SnapshotFileError``.

The pure core takes turns, by `core_turns`: a capture would walk the lists that another thread builds in
it, which may be larger than the heap of the program. The C core builds no Python objects meanwhile.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar, cast

from memlens import _core
from memlens._fork import ForkSafeLock
from memlens.errors import SnapshotFileError

__all__ = (
    "birth_steps",
    "children_rows",
    "chosen_lengths",
    "core_turns",
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

_Function = TypeVar("_Function", bound=Callable[..., Any])
core_turns: AbstractContextManager[None] = (
    ForkSafeLock() if _core.IMPLEMENTATION == "pure" else nullcontext()
)


def _checked(function: _Function) -> _Function:
    @functools.wraps(function)
    def call(*arguments: Any, **options: Any) -> Any:
        try:
            with core_turns:
                return function(*arguments, **options)
        except (ValueError, OverflowError) as error:
            raise SnapshotFileError(f"inconsistent heap: {error}") from error

    return cast("_Function", call)


birth_steps = _checked(_core.birth_steps)
children_rows = _checked(_core.children_rows)
chosen_lengths = _checked(_core.chosen_lengths)
count_types = _checked(_core.count_types)
decimal_rows = _checked(_core.decimal_rows)
dominator_tree = _checked(_core.dominator_tree)
edges_between = _checked(_core.edges_between)
edges_labelled = _checked(_core.edges_labelled)
group_nodes = _checked(_core.group_nodes)
identity_numbers = _checked(_core.identity_numbers)
is_ascending = _checked(_core.is_ascending)
largest_nodes = _checked(_core.largest_nodes)
mark_born = _checked(_core.mark_born)
mark_buffers = _checked(_core.mark_buffers)
mark_containers = _checked(_core.mark_containers)
mark_matched = _checked(_core.mark_matched)
match_nodes = _checked(_core.match_nodes)
match_runs = _checked(_core.match_runs)
matches_of_runs = _checked(_core.matches_of_runs)
mostly_flagged = _checked(_core.mostly_flagged)
nearest_marked = _checked(_core.nearest_marked)
nodes_flagged = _checked(_core.nodes_flagged)
nodes_of_types = _checked(_core.nodes_of_types)
number_keys = _checked(_core.number_keys)
place_keys = _checked(_core.place_keys)
reach_marked = _checked(_core.reach_marked)
reached_nodes = _checked(_core.reached_nodes)
retained_by_group = _checked(_core.retained_by_group)
reverse_edges = _checked(_core.reverse_edges)
row_gains = _checked(_core.row_gains)
row_lengths = _checked(_core.row_lengths)
share_sizes = _checked(_core.share_sizes)
shortest_paths = _checked(_core.shortest_paths)
spread_flags = _checked(_core.spread_flags)
subtree_sums = _checked(_core.subtree_sums)
text_keys = _checked(_core.text_keys)
unlisted_nodes = _checked(_core.unlisted_nodes)
