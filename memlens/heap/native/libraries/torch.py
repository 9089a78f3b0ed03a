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
from collections.abc import Iterable, Iterator
from typing import Any

from memlens.heap.native.adapter import LibraryAdapters
from memlens.heap.native.blocks import NativeBlock, held_object

__all__ = ("ADAPTERS",)

_MAX_GRAPH_NODES = 10_000  # of the autograd graph behind one tensor
_COMPRESSED = {  # the layout of a sparse tensor: the functions for its parts
    "torch.sparse_coo": ("_indices", "_values"),
    "torch.sparse_csr": ("crow_indices", "col_indices", "values"),
    "torch.sparse_bsr": ("crow_indices", "col_indices", "values"),
    "torch.sparse_csc": ("ccol_indices", "row_indices", "values"),
    "torch.sparse_bsc": ("ccol_indices", "row_indices", "values"),
}


def _blocks_of_storage(storage: Any) -> tuple[NativeBlock, ...]:
    device = storage.device
    if device.type == "meta":
        return ()
    return (NativeBlock(storage.data_ptr(), storage.nbytes(), str(device)),)


def _blocks_of_tensor(tensor: Any) -> list[NativeBlock]:
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


def _data_blocks(torch: Any, tensor: Any) -> list[NativeBlock]:
    """Return the blocks of the elements of a tensor, without its gradient."""
    base = torch._C.TensorBase
    layout = tensor.layout
    if layout is torch.strided:
        try:
            storage = base.untyped_storage(tensor)
        except (NotImplementedError, RuntimeError):
            return []  # a wrapper of torch.func has no storage
        device = storage.device
        if device.type == "meta":
            return []
        block = NativeBlock(storage.data_ptr(), storage.nbytes(), str(device))
        return [block, held_object(storage)]
    names = _COMPRESSED.get(str(layout))
    without_modes = getattr(torch._C, "_DisableTorchDispatch", None)
    if names is None or without_modes is None:
        return []
    with without_modes():  # unlike the above, these are operations, which a mode could replace
        parts = [getattr(base, name)(tensor) for name in names]
    return [block for part in parts for block in _data_blocks(torch, part)]


def _blocks_of_graph(tensor: Any) -> Iterable[NativeBlock]:
    """Return the blocks and objects that the autograd graph behind a tensor holds."""
    torch = sys.modules["torch"]
    with torch._C.DisableTorchFunction():
        first = tensor.grad_fn
        return () if first is None else _walk_graph(torch, first)


def _walk_graph(torch: Any, first: Any) -> list[NativeBlock]:
    blocks: set[NativeBlock] = set()
    seen = {id(first): first}
    waiting = [first]
    while waiting:
        node = waiting.pop()
        if issubclass(type(node), torch._C._FunctionBase):
            blocks.add(held_object(node))  # the context of a function of the program
        for tensor in _tensors_of_node(torch, node):
            blocks.add(held_object(tensor))
            blocks.update(_data_blocks(torch, tensor))
        for other, _ in node.next_functions:
            if other is not None and id(other) not in seen and len(seen) < _MAX_GRAPH_NODES:
                seen[id(other)] = other
                waiting.append(other)
    return list(blocks)


def _tensors_of_node(torch: Any, node: Any) -> Iterator[Any]:
    """Yield the tensors that a node of the autograd graph holds itself.

    A saved tensor is read as it is stored. Where the program has hooks for saved tensors, that is what
    the hooks made: a tensor, a tuple with one, or something that is not looked into.
    """
    kind = type(node)
    is_function = issubclass(kind, torch._C._FunctionBase)  # of the program, written in Python
    namespace = vars(torch._C._FunctionBase if is_function else kind)
    stored: list[Any] = []
    for name, descriptor in namespace.items():
        if name.startswith("_raw_saved_"):
            try:
                saved = descriptor.__get__(node)
            except RuntimeError:
                continue  # backward() has released it
            for part in saved if type(saved) is tuple else (saved,):
                stored.append(getattr(part, "data", None))  # older versions do not tell
    if is_function:
        stored += object.__getattribute__(node, "__dict__").values()
    elif "variable" in namespace:  # a leaf, with its gradient
        stored.append(node.variable)
        stored.append(node.variable.grad if type(node.variable) in _exact(torch) else None)
    for value in stored:
        for part in value if type(value) is tuple else (value,):
            if type(part) in _exact(torch):
                yield part


def _exact(torch: Any) -> tuple[type, ...]:
    return (torch.Tensor, torch.nn.Parameter)


ADAPTERS = LibraryAdapters(
    "torch",
    {
        "torch.Tensor": _blocks_of_tensor,
        "torch.nn.parameter.Parameter": _blocks_of_tensor,
        "torch.storage.UntypedStorage": _blocks_of_storage,
    },
    later={"torch.Tensor": _blocks_of_graph},
)
