"""The core: captures the heap and computes over it. Picks the C implementation where it is there.

``memlens._core.pure`` is the reference; the C extension ``memlens._core._native``, where it was
built, has the same functions with the same results. The environment variable ``MEMLENS_PURE``
chooses: unset, C if it is there; ``1``, pure Python; ``0``, C or an ImportError.

What the functions take and give is plain: flat buffers of fixed-width integers, laid out as
`memlens._core.layout` says. Meaning and text are made by the layers above.
"""

from __future__ import annotations

import importlib
import os
from types import ModuleType

__all__ = (
    "IMPLEMENTATION",
    "capture",
    "count_types",
    "dominator_tree",
    "fork_capture",
    "match_nodes",
    "reverse_edges",
    "shortest_paths",
)


def _pick() -> tuple[str, ModuleType]:
    """Return the name and the module of the implementation to use."""
    wanted = os.environ.get("MEMLENS_PURE")
    if wanted != "1":
        try:
            return "native", importlib.import_module("memlens._core._native")
        except ImportError as error:
            if wanted == "0":
                raise
            if not isinstance(error, ModuleNotFoundError):  # there, but not for this Python
                import warnings

                warnings.warn(f"memlens runs its pure Python core: {error}", stacklevel=3)
    from memlens._core import pure

    return "pure", pure


IMPLEMENTATION, _core = _pick()

capture = _core.capture
count_types = _core.count_types
dominator_tree = _core.dominator_tree
match_nodes = _core.match_nodes
reverse_edges = _core.reverse_edges
shortest_paths = _core.shortest_paths
# The pure core cannot capture in a forked child: there it is None.
fork_capture = getattr(_core, "fork_capture", None)
