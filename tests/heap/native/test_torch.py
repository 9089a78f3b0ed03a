"""torch: storages once however many tensors show them, gradients, and what autograd saved."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.heap.native.measuring import addresses, distinct_bytes, held_by, rows_of

torch = pytest.importorskip("torch", reason="torch is not installed")
TorchDispatchMode = pytest.importorskip("torch.utils._python_dispatch").TorchDispatchMode


def storage_bytes(*tensors):
    return sum(tensor.untyped_storage().nbytes() for tensor in tensors)


def storages(*tensors):
    return {tensor.untyped_storage().data_ptr() for tensor in tensors}


def test_a_tensor_has_its_storage():
    tensor = torch.zeros(1000)
    storage = tensor.untyped_storage()
    expected = (storage.data_ptr(), 4000, "cpu", "torch")
    assert [row[1:] for row in rows_of(tensor, tensor[5:], tensor.view(10, 100), storage)] == (
        [expected] * 4
    )
    assert [row[1:] for row in rows_of(tensor[999:])] == [expected]


def test_a_parameter_and_its_gradient_are_measured():
    parameter = torch.nn.Parameter(torch.zeros(100))
    assert distinct_bytes(parameter) == 400
    parameter.sum().backward()
    assert addresses(parameter) == {parameter.data_ptr(), parameter.grad.data_ptr()}


def test_a_gradient_is_not_asked_for_where_torch_would_warn():
    leaf = torch.zeros(100, requires_grad=True)
    inner = leaf * 2
    assert inner.data_ptr() in addresses(inner)  # a warning is an error in these tests
    inner.retain_grad()
    inner.sum().backward()
    assert inner.grad.data_ptr() in addresses(inner)


@pytest.mark.filterwarnings("ignore:Sparse")
def test_sparse_tensors_have_indices_and_values():
    dense = torch.eye(50)
    sparse = dense.to_sparse()
    assert addresses(sparse) == storages(sparse._indices(), sparse._values())
    rows = dense.to_sparse_csr()
    parts = [rows.crow_indices(), rows.col_indices(), rows.values()]
    assert addresses(rows) == storages(*parts)
    columns = dense.to_sparse_csc()
    parts = [columns.ccol_indices(), columns.row_indices(), columns.values()]
    assert distinct_bytes(columns) == storage_bytes(*parts)


def test_a_meta_tensor_has_no_memory():
    tensor = torch.zeros(10**9, device="meta")
    assert rows_of(tensor, tensor.untyped_storage()) == []


@pytest.mark.filterwarnings("ignore")
def test_quantised_tensors_have_a_byte_for_each_element():
    tensor = torch.quantize_per_tensor(torch.randn(1000), 0.1, 0, torch.quint8)
    assert distinct_bytes(tensor) == 1000


def test_a_tensor_over_numpy_has_the_address_of_the_array():
    numpy = pytest.importorskip("numpy", reason="numpy is not installed")
    array = numpy.zeros(1000)
    assert addresses(torch.from_numpy(array)) == {array.ctypes.data}


def test_a_tensor_without_a_storage_is_no_failure():
    seen = []

    def look(tensor):
        assert type(tensor) is torch.Tensor
        seen.append(rows_of(tensor))
        return tensor

    torch.func.vmap(look)(torch.ones(3, 3))
    assert seen == [[]]


class Loud(torch.Tensor):
    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        raise AssertionError("code of the program ran")


class LoudMode(torch.overrides.TorchFunctionMode):
    def __torch_function__(self, func, types, args=(), kwargs=None):
        raise AssertionError("code of the program ran")


class LoudDispatch(TorchDispatchMode):
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        raise AssertionError("code of the program ran")


def test_no_code_of_the_program_runs():
    from memlens.heap.native.registry import active_types

    assert Loud not in dict(active_types())
    leaf = torch.zeros(100, requires_grad=True)
    loss = leaf.pow(2).sum()
    sparse = torch.eye(3).to_sparse()
    with LoudMode(), LoudDispatch():
        assert len(rows_of(leaf, sparse, loss)) > 3


def test_a_loss_keeps_what_its_graph_saved():
    weights = torch.randn(100, 100, requires_grad=True)
    inner = (torch.randn(50, 100) @ weights).exp()
    inner_address = inner.data_ptr()
    loss = inner.sum()
    del inner
    found = addresses(loss)
    assert {loss.data_ptr(), inner_address, weights.data_ptr()} <= found
    # The input, the result of exp(), the weights and the loss.
    assert distinct_bytes(loss) == 50 * 100 * 4 * 2 + 100 * 100 * 4 + 4
    loss.backward()  # frees what was saved
    assert distinct_bytes(loss) == 2 * 100 * 100 * 4 + 4  # the weights and their gradient
    assert distinct_bytes(loss.detach()) == 4


def test_saved_tensors_are_not_unpacked():
    def unpack(tensor):
        raise AssertionError("a hook ran")

    weights = torch.randn(100, requires_grad=True)
    packed = []

    def pack(tensor):
        packed.append(tensor.clone().detach())
        return packed[-1]

    with torch.autograd.graph.saved_tensors_hooks(pack, unpack):
        loss = weights.pow(2).sum()
    assert packed[0].data_ptr() in addresses(loss)
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: {"odd": tensor}, unpack):
        loss = weights.pow(2).sum()
    assert addresses(loss) == {loss.data_ptr(), weights.data_ptr()}


class Doubled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, tensor):
        ctx.save_for_backward(tensor * 2)
        ctx.extra = tensor * 3
        return tensor * 4

    @staticmethod
    def backward(ctx, gradient):
        return gradient


def test_what_a_function_of_the_program_saved_is_found():
    result = Doubled.apply(torch.zeros(100, requires_grad=True))
    assert distinct_bytes(result) == 4 * 400  # the argument, what was saved, the extra, the result


def test_a_tuple_of_saved_tensors_is_found():
    weights = torch.randn(100, requires_grad=True)
    index = torch.arange(50)
    assert index.data_ptr() in addresses(weights[index].sum())


def test_what_backward_released_is_not_counted():
    weights = torch.randn(100, requires_grad=True)
    result = Doubled.apply(weights)[torch.arange(50)]
    loss = result.sum()
    before = distinct_bytes(loss)
    loss.backward()
    # The argument got a gradient; the extra is kept; what was saved and the index are released.
    assert distinct_bytes(loss) == 3 * 400 + 4
    assert before == 3 * 400 + 50 * 8 + 4


@st.composite
def views(draw):
    """Return tensors that are views of a few storages, and the storage of each of them."""
    bases = [torch.zeros(10 * (number + 1)) for number in range(draw(st.integers(1, 4)))]
    numbers = draw(st.lists(st.sampled_from(range(len(bases))), max_size=12))
    return bases, [(number, bases[number][draw(st.integers(0, 9)) :]) for number in numbers]


@given(views())
def test_views_share_blocks_as_they_share_storages(drawn):
    bases, tensors = drawn
    kept = {number for number, _ in tensors}
    assert distinct_bytes(*(view for _, view in tensors)) == storage_bytes(
        *(bases[n] for n in kept)
    )
    for number, view in tensors:
        assert addresses(view) == {bases[number].data_ptr()}


def test_objects_that_torch_keeps_in_native_code_are_stated_as_held():
    tensor = torch.zeros(3)
    assert held_by(tensor) == {id(tensor.untyped_storage())}


def test_the_base_of_a_view_is_held_by_the_view():
    base = torch.zeros(3, 3)
    view = base[1:].t()
    assert held_by(view) == {id(base), id(base.untyped_storage())}


def test_a_gradient_is_held_by_its_parameter():
    parameter = torch.nn.Parameter(torch.zeros(3))
    parameter.sum().backward()
    gradient = parameter.grad
    storages = {id(one.untyped_storage()) for one in (parameter, gradient)}
    assert held_by(parameter) == {id(gradient), *storages}


def test_saved_tensors_and_contexts_are_held_by_the_result():
    class Doubled(torch.autograd.Function):
        @staticmethod
        def forward(ctx, tensor):
            return tensor * 2

        @staticmethod
        def backward(ctx, gradient):
            return gradient * 2

    start = torch.ones(3, requires_grad=True)
    middle = start.exp()
    loss = Doubled.apply(middle.pow(2)).sum()
    context = loss.grad_fn.next_functions[0][0]
    assert {id(start), id(middle), id(context)} <= held_by(loss)


def chain(length):
    """Return results that each come from the one before, and what each saved: it is not kept."""
    kept, saved = [torch.ones(10, requires_grad=True)], []
    for _ in range(length):
        inner = kept[-1].exp()
        saved.append(inner.data_ptr())
        kept.append(inner + 1)
    return kept, saved


def owners_of(kept):
    owners = {}
    for row in rows_of(*kept):
        owners.setdefault(row.address, set()).add(row.position)
    return owners


def test_what_few_results_share_is_told_for_each():
    kept, saved = chain(5)
    owners = owners_of(kept)
    for number, address in enumerate(saved):
        assert owners[address] == set(range(number + 1, 6))


def test_a_long_chain_of_kept_results_takes_linear_work():
    kept, saved = chain(400)
    owners = owners_of(kept)
    assert all(len(owners[address]) >= 2 for address in saved[:-1])
    # Each result tells its own block, and what eight others keep of it.
    assert sum(map(len, owners.values())) <= 400 * 12
