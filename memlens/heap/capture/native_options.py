"""The adapters of libraries, as options of a capture."""

from __future__ import annotations

from typing import Any

from memlens.heap.native.measure import make_measure
from memlens.heap.native.registry import active_types

__all__ = ("native_options",)


class _Types(tuple[type, ...]):
    """Types: of a class of ours, so that the capture tells the tuple from the program's objects."""

    __slots__ = ()


def native_options(*, forked: bool) -> dict[str, Any]:
    """Return the options with which the core asks the adapters of the libraries that are imported.

    ``forked`` says whether the capture forks. Empty if the program uses none of the libraries.
    """
    adapters = active_types()
    if not adapters:
        return {}
    types = _Types(cls for cls, _ in adapters)
    return {"native_types": types, "measure": make_measure(adapters, forked=forked)}
