"""What to say of values that keep more native memory than they show."""

from __future__ import annotations

from memlens._core.layout import NodeFlag
from memlens.leaks.patterns.case import Case

__all__ = ("advice_on_values",)

_TENSOR = "torch.Tensor"
_LOOKED_AT = 200


def advice_on_values(case: Case) -> str:
    """Return a sentence about tensors that keep a graph of autograd, ``""`` for anything else.

    Such a tensor holds the storages that autograd saved beside its own. A gradient is one more
    storage of the same size, so the others must be larger than that.
    """
    values = case.values[:: len(case.values) // _LOOKED_AT + 1]
    keeping = sum(
        case.graph.type_of(node) == _TENSOR and _keeps_more_than_itself(case, node)
        for node in values
    )
    if not values or 2 * keeping <= len(values):
        return ""
    return (
        " Most of these tensors keep what autograd saved for backward(): to keep the number alone,"
        " store tensor.item() or tensor.detach()."
    )


def _keeps_more_than_itself(case: Case, tensor: int) -> bool:
    graph = case.graph
    sizes = sorted(
        graph.node_size[node]
        for node in set(graph.strong_targets(tensor))
        if graph.has(node, NodeFlag.NATIVE)
    )
    return len(sizes) > 1 and sizes[0] * 2 < sum(sizes[1:])
