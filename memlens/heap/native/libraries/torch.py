"""torch: the storages of tensors, of their gradients, and of what the autograd graph saved.

The attributes are read with the descriptors of torch's own C types, with the functions of torch that
can be overridden switched off, and saved tensors are never unpacked: no hook and no mode of the
program runs.

The Python objects of storages, bases, gradients and saved tensors stay alive as long as their C++
objects, which hold the only reference to them. So each is stated as held by the tensor that leads
there.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any

from memlens.heap.native.adapter import LibraryAdapters
from memlens.heap.native.blocks import Block, held_object

__all__ = ("ADAPTERS",)

_MAX_GRAPH_NODES = 10_000  # of the autograd graph behind one tensor
_MAX_OWNERS = 8  # of a node of the autograd graph, that are stated with all behind it
_COMPRESSED = {  # the layout of a sparse tensor: the functions for its parts
    "torch.sparse_coo": ("_indices", "_values"),
    "torch.sparse_csr": ("crow_indices", "col_indices", "values"),
    "torch.sparse_bsr": ("crow_indices", "col_indices", "values"),
    "torch.sparse_csc": ("ccol_indices", "row_indices", "values"),
    "torch.sparse_bsc": ("ccol_indices", "row_indices", "values"),
}


_Blocks = set[Block]


class _Names(dict[Any, str]):
    """The names of devices: ``cpu``, ``cuda:0``; ``""`` of one without memory."""

    def __missing__(self, device: Any) -> str:
        name = self[device] = "" if device.type == "meta" else str(device)
        return name


_name_of = _Names()


def _blocks_of_storage(storage: Any) -> tuple[Block, ...]:
    name = _name_of[storage.device]
    return ((storage.data_ptr(), storage.nbytes(), name),) if name else ()


def _blocks_of_tensor(tensor: Any) -> list[Block]:
    torch = sys.modules["torch"]
    with torch._C.DisableTorchFunction():
        blocks = _data_blocks(torch, tensor)
        base = tensor._base  # of a view
        if base is not None:
            blocks.append(held_object(base))
        # Without the check torch warns that a tensor which is no leaf has no gradient.
        if tensor.requires_grad and (tensor.is_leaf or tensor.retains_grad):
            grad = tensor.grad
            if grad is not None:
                blocks += [held_object(grad), *_data_blocks(torch, grad)]
        return blocks


def _data_blocks(torch: Any, tensor: Any) -> list[Block]:
    """Return the blocks of the elements of a tensor, without its gradient."""
    base = torch._C.TensorBase
    layout = tensor.layout
    if layout is torch.strided:
        try:
            storage = base.untyped_storage(tensor)
        except (NotImplementedError, RuntimeError):
            return []  # a wrapper of torch.func has no storage
        name = _name_of[storage.device]
        if not name:
            return []
        return [(storage.data_ptr(), storage.nbytes(), name), held_object(storage)]
    names = _COMPRESSED.get(str(layout))
    without_modes = getattr(torch._C, "_DisableTorchDispatch", None)
    if names is None or without_modes is None:
        return []
    with without_modes():  # unlike the above, these are operations, which a mode could replace
        parts = [getattr(base, name)(tensor) for name in names]
    return [block for part in parts for block in _data_blocks(torch, part)]


def _make_blocks_of_graph() -> Callable[[Any], Iterable[Block]]:
    graphs = _Graphs()

    def blocks_of_graph(tensor: Any) -> Iterable[Block]:
        """Return the blocks and objects that the autograd graph behind a tensor holds."""
        torch = sys.modules["torch"]
        with torch._C.DisableTorchFunction():
            first = tensor.grad_fn
            return () if first is None else graphs.walk(torch, first)

    return blocks_of_graph


class _Graphs:
    """The autograd graphs that tensors of one capture have behind them.

    Each result that a program keeps has those of all before it behind it. So no more than
    `_MAX_OWNERS` tensors state what a node and those behind it hold; any other states what the
    first of such nodes on its way holds, and goes no further.
    """

    def __init__(self) -> None:
        self._nodes: dict[int, Any] = {}  # kept, so that their identities stay theirs
        self._owner_counts: dict[int, int] = {}
        self._held: dict[int, _Blocks] = {}
        self._readers: dict[type, tuple[Any, ...]] = {}

    def walk(self, torch: Any, first: Any) -> _Blocks:
        """Return what a node and those behind it hold."""
        blocks: _Blocks = set()
        counts = self._owner_counts
        seen = {id(first)}
        waiting = [first]
        while waiting:
            node = waiting.pop()
            key = id(node)
            if key not in self._nodes:
                self._nodes[key] = node
                self._held[key] = self._blocks_of_node(torch, node)
            blocks |= self._held[key]
            count = counts[key] = counts.get(key, 0) + 1
            if count > _MAX_OWNERS:
                continue
            for other, _ in node.next_functions:
                if other is not None and id(other) not in seen and len(seen) < _MAX_GRAPH_NODES:
                    seen.add(id(other))
                    waiting.append(other)
        return blocks

    def _blocks_of_node(self, torch: Any, node: Any) -> _Blocks:
        blocks: _Blocks = set()
        if issubclass(type(node), torch._C._FunctionBase):
            blocks.add(held_object(node))  # the context of a function of the program
        exact = (torch.Tensor, torch.nn.Parameter)
        for value in self._values_of_node(torch, node, exact):
            for tensor in value if type(value) is tuple else (value,):
                if type(tensor) in exact:
                    blocks.add(held_object(tensor))
                    blocks.update(_data_blocks(torch, tensor))
        return blocks

    def _values_of_node(self, torch: Any, node: Any, exact: tuple[type, ...]) -> list[Any]:
        """Return what a node of the autograd graph holds itself: tensors, tuples or something else.

        A saved tensor is read as it is stored. Where the program has hooks for saved tensors, that is
        what the hooks made: a tensor, a tuple with one, or something that is not looked into.
        """
        kind = type(node)
        is_function = issubclass(kind, torch._C._FunctionBase)  # of the program, written in Python
        stored: list[Any] = []
        for reader in self._readers_of(torch._C._FunctionBase if is_function else kind):
            try:
                saved = reader(node)
            except RuntimeError:
                continue  # backward() has released it
            for part in saved if type(saved) is tuple else (saved,):
                stored.append(getattr(part, "data", None))  # older versions do not tell
        if is_function:
            stored += object.__getattribute__(node, "__dict__").values()
        elif "variable" in vars(kind):  # a leaf, with its gradient
            leaf = node.variable
            stored += [leaf, leaf.grad if type(leaf) in exact else None]
        return stored

    def _readers_of(self, kind: type) -> tuple[Any, ...]:
        """Return what reads the saved tensors of the nodes of a type, which is one of torch's."""
        readers = self._readers.get(kind)
        if readers is None:
            readers = self._readers[kind] = tuple(
                descriptor.__get__
                for name, descriptor in vars(kind).items()
                if name.startswith("_raw_saved_")
            )
        return readers


ADAPTERS = LibraryAdapters(
    "torch",
    {
        "torch.Tensor": _blocks_of_tensor,
        "torch.nn.parameter.Parameter": _blocks_of_tensor,
        "torch.storage.UntypedStorage": _blocks_of_storage,
    },
    later={"torch.Tensor": _make_blocks_of_graph},
)
