"""The core: captures the heap and computes over it. Picks the C implementation where it is there.

``memlens._core.pure`` is the reference; the C extension ``memlens._core._native``, where it was
built, has the same functions with the same results. The environment variable ``MEMLENS_PURE``
chooses: unset, C if it is there; ``1``, pure Python; ``0``, C or an ImportError.

What the functions take and give is plain: flat buffers of fixed-width integers, laid out as
`memlens._core.layout` says. Meaning and text are made by the layers above.
"""

from __future__ import annotations

from memlens._core.pure import (
    capture,
    count_types,
    dominator_tree,
    match_nodes,
    reverse_edges,
    shortest_paths,
)

__all__ = (
    "IMPLEMENTATION",
    "capture",
    "count_types",
    "dominator_tree",
    "match_nodes",
    "reverse_edges",
    "shortest_paths",
)

IMPLEMENTATION = "pure"
