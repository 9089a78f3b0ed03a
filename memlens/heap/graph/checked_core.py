"""The functions of the core, with our error for a heap whose columns are inconsistent.

The core checks the columns that it gets and raises ``ValueError``, the pure one sometimes
``OverflowError``. The columns of a heap come from a capture or a file, so here these errors become
a ``SnapshotFileError``.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

from memlens import _core
from memlens.errors import SnapshotFileError

__all__ = (
    "children_rows",
    "count_types",
    "dominator_tree",
    "edges_between",
    "identity_keys",
    "largest_nodes",
    "mark_matched",
    "match_nodes",
    "nearest_marked",
    "reached_nodes",
    "retained_by_group",
    "reverse_edges",
    "shortest_paths",
    "spread_flags",
)

_Function = TypeVar("_Function", bound=Callable[..., Any])


def _checked(function: _Function) -> _Function:
    @functools.wraps(function)
    def call(*arguments: Any, **options: Any) -> Any:
        try:
            return function(*arguments, **options)
        except (ValueError, OverflowError) as error:
            raise SnapshotFileError(f"inconsistent heap: {error}") from error

    return cast("_Function", call)


children_rows = _checked(_core.children_rows)
count_types = _checked(_core.count_types)
dominator_tree = _checked(_core.dominator_tree)
edges_between = _checked(_core.edges_between)
identity_keys = _checked(_core.identity_keys)
largest_nodes = _checked(_core.largest_nodes)
mark_matched = _checked(_core.mark_matched)
match_nodes = _checked(_core.match_nodes)
nearest_marked = _checked(_core.nearest_marked)
reached_nodes = _checked(_core.reached_nodes)
retained_by_group = _checked(_core.retained_by_group)
reverse_edges = _checked(_core.reverse_edges)
shortest_paths = _checked(_core.shortest_paths)
spread_flags = _checked(_core.spread_flags)
