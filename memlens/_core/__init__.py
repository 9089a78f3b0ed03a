"""The core: captures the heap and computes over it. Picks the C implementation where it is there.

``memlens._core.pure`` is the reference; the C extension ``memlens._core._native``, where it was
built, has the same functions with the same results. The environment variable ``MEMLENS_PURE``
chooses: unset, C if it is there; ``1``, pure Python; ``0``, C or an ImportError (also where the
sampler of allocations, `memlens._core._sampler`, is missing).

What the functions take and give is plain: flat buffers of fixed-width integers, laid out as
`memlens._core.layout` says. Meaning and text are made by the layers above.
"""

from __future__ import annotations

import importlib
import os
from types import ModuleType
from typing import TYPE_CHECKING

__all__ = (
    "IMPLEMENTATION",
    "capture",
    "children_rows",
    "count_types",
    "dominator_tree",
    "edges_between",
    "fork_capture",
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


def _pick() -> tuple[str, ModuleType]:
    """Return the name and the module of the implementation to use."""
    wanted = os.environ.get("MEMLENS_PURE")
    if wanted != "1":
        try:
            core = importlib.import_module("memlens._core._native")
            if wanted == "0":
                importlib.import_module("memlens._core._sampler")
            return "native", core
        except ImportError as error:
            if wanted == "0":
                raise
            if not isinstance(error, ModuleNotFoundError):  # there, but not for this Python
                import warnings

                warnings.warn(f"memlens runs its pure Python core: {error}", stacklevel=3)
    from memlens._core import pure

    return "pure", pure


IMPLEMENTATION, _core = _pick()


if TYPE_CHECKING:
    from memlens._core.pure import (
        capture,
        children_rows,
        count_types,
        dominator_tree,
        edges_between,
        grown_rows,
        identity_keys,
        largest_nodes,
        mark_matched,
        match_nodes,
        nearest_marked,
        place_keys,
        reached_nodes,
        retained_by_group,
        reverse_edges,
        shortest_paths,
        spread_flags,
    )
else:
    capture = _core.capture
    children_rows = _core.children_rows
    count_types = _core.count_types
    dominator_tree = _core.dominator_tree
    edges_between = _core.edges_between
    grown_rows = _core.grown_rows
    identity_keys = _core.identity_keys
    largest_nodes = _core.largest_nodes
    mark_matched = _core.mark_matched
    match_nodes = _core.match_nodes
    nearest_marked = _core.nearest_marked
    from memlens._core.pure.places import place_keys

    reached_nodes = _core.reached_nodes
    retained_by_group = _core.retained_by_group
    reverse_edges = _core.reverse_edges
    shortest_paths = _core.shortest_paths
    spread_flags = _core.spread_flags
# The pure core cannot capture in a forked child: there it is None.
fork_capture = getattr(_core, "fork_capture", None)
