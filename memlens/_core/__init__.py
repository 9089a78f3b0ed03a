"""The core: captures the heap and computes over it. Picks the C implementation where it is there.

``memlens._core.pure`` is the reference. Two C extensions have the same functions with the same
results, and each of them is used where it can be imported:

- ``memlens._core._graph`` computes over graphs. It uses the public C API only, so it works on every
  version of CPython that memlens can be built for.
- ``memlens._core._capture`` captures the heap. It reads the internals of CPython and refuses a
  version that it does not know.

The environment variable ``MEMLENS_PURE`` chooses: unset, C where it is there; ``1``, pure Python;
``0``, both extensions or an ImportError (also if one of the others is missing: the sampler of
allocations, ``memlens._core._sampler``, and the measurement of garbage collections,
``memlens._core._gc_pauses``).

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
    "birth_steps",
    "capture",
    "children_rows",
    "chosen_lengths",
    "count_types",
    "decimal_rows",
    "dominator_tree",
    "edges_between",
    "edges_labelled",
    "fork_capture",
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
    "wait_with_gil",
)


def _extension(name: str, what: str) -> ModuleType | None:
    """Return an extension of the core; None where its work is to be done in pure Python."""
    wanted = os.environ.get("MEMLENS_PURE")
    if wanted == "1":
        return None
    try:
        return importlib.import_module(f"memlens._core.{name}")
    except (ImportError, UnicodeError) as error:
        # From 3.12 on, CPython loads no extension from a folder whose name cannot be encoded.
        if wanted == "0":
            raise
        if not isinstance(error, ModuleNotFoundError):  # there, but not for this Python
            import warnings

            warnings.warn(f"memlens {what} in pure Python: {error}", stacklevel=3)
    return None


def _name(graph_is_c: bool, capture_is_c: bool) -> str:
    """Return how the two halves together are called."""
    if graph_is_c == capture_is_c:
        return "C" if graph_is_c else "pure"
    return "C graph, pure capture" if graph_is_c else "pure graph, C capture"


_c_graph = _extension("_graph", "analyses heaps")
_c_capture = _extension("_capture", "captures heaps")
if os.environ.get("MEMLENS_PURE") == "0":
    importlib.import_module("memlens._core._sampler")
    importlib.import_module("memlens._core._gc_pauses")

IMPLEMENTATION = _name(_c_graph is not None, _c_capture is not None)

if TYPE_CHECKING:
    from memlens._core.pure import (
        birth_steps,
        capture,
        children_rows,
        chosen_lengths,
        count_types,
        decimal_rows,
        dominator_tree,
        edges_between,
        edges_labelled,
        group_nodes,
        identity_numbers,
        is_ascending,
        largest_nodes,
        mark_born,
        mark_buffers,
        mark_containers,
        mark_matched,
        match_nodes,
        match_runs,
        matches_of_runs,
        mostly_flagged,
        nearest_marked,
        nodes_flagged,
        nodes_of_types,
        number_keys,
        place_keys,
        reach_marked,
        reached_nodes,
        retained_by_group,
        reverse_edges,
        row_gains,
        row_lengths,
        share_sizes,
        shortest_paths,
        spread_flags,
        subtree_sums,
        text_keys,
        unlisted_nodes,
    )
else:
    if _c_graph is None or _c_capture is None:
        from memlens._core import pure
    _functions = pure if _c_graph is None else _c_graph
    capture = (pure if _c_capture is None else _c_capture).capture
    birth_steps = _functions.birth_steps
    children_rows = _functions.children_rows
    chosen_lengths = _functions.chosen_lengths
    count_types = _functions.count_types
    decimal_rows = _functions.decimal_rows
    dominator_tree = _functions.dominator_tree
    edges_between = _functions.edges_between
    edges_labelled = _functions.edges_labelled
    group_nodes = _functions.group_nodes
    identity_numbers = _functions.identity_numbers
    is_ascending = _functions.is_ascending
    largest_nodes = _functions.largest_nodes
    mark_born = _functions.mark_born
    mark_buffers = _functions.mark_buffers
    mark_containers = _functions.mark_containers
    mark_matched = _functions.mark_matched
    match_nodes = _functions.match_nodes
    match_runs = _functions.match_runs
    matches_of_runs = _functions.matches_of_runs
    mostly_flagged = _functions.mostly_flagged
    nearest_marked = _functions.nearest_marked
    nodes_flagged = _functions.nodes_flagged
    nodes_of_types = _functions.nodes_of_types
    number_keys = _functions.number_keys
    place_keys = _functions.place_keys
    reach_marked = _functions.reach_marked
    reached_nodes = _functions.reached_nodes
    retained_by_group = _functions.retained_by_group
    reverse_edges = _functions.reverse_edges
    row_gains = _functions.row_gains
    row_lengths = _functions.row_lengths
    share_sizes = _functions.share_sizes
    shortest_paths = _functions.shortest_paths
    spread_flags = _functions.spread_flags
    subtree_sums = _functions.subtree_sums
    text_keys = _functions.text_keys
    unlisted_nodes = _functions.unlisted_nodes
# The pure core cannot capture in a forked child: there it is None.
fork_capture = getattr(_c_capture, "fork_capture", None)
# Waits for that child while no other thread of Python runs.
wait_with_gil = getattr(_c_capture, "wait_with_gil", None)
