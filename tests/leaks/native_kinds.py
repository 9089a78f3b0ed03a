"""Objects that hold native memory, by library, each with the library's own counter of bytes.

A function of `KINDS` imports its library and returns two functions: ``make(number)`` returns an object
that holds about 256 KiB, and ``count(held)`` returns how many bytes a list of them holds.
"""

from __future__ import annotations

import ctypes
import gc
import mmap
import tempfile
import tracemalloc

SIZE = 256 * 1024


class Vendor:
    """A type with native memory that memlens knows by `memlens.register_native` only."""

    def __init__(self, number):
        self.size = SIZE + number


def malloc_in_use():
    """Return the bytes that the C library has in use: for libraries without a counter."""
    libc = ctypes.CDLL(None)

    class Info(ctypes.Structure):
        _fields_ = [(f"field_{number}", ctypes.c_size_t) for number in range(10)]

    libc.mallinfo2.restype = Info
    gc.collect()
    info = libc.mallinfo2()
    return info.field_7 + info.field_4


def numpy_bytes():
    """Return the bytes of all arrays: numpy tells tracemalloc of them in a domain of its own."""
    only = tracemalloc.DomainFilter(inclusive=True, domain=389047)
    traces = tracemalloc.take_snapshot().filter_traces([only])
    return sum(trace.size for trace in traces.traces)


def numpy_owners():
    import numpy as np

    tracemalloc.start()
    return lambda number: np.full(SIZE // 8, number), lambda held: numpy_bytes()


def numpy_views():
    import numpy as np

    tracemalloc.start()

    def make(number):
        return np.full((SIZE // 80, 10), number)[5:8, ::2]

    return make, lambda held: numpy_bytes()


def pandas_numbers():
    import numpy as np
    import pandas as pd

    tracemalloc.start()

    def make(number):
        rows = SIZE // 24
        return pd.DataFrame({"a": np.full(rows, number), "b": np.zeros(rows), "c": np.ones(rows)})

    return make, lambda held: numpy_bytes()


def pandas_strings():
    import pandas as pd
    import pyarrow as pa

    def make(number):
        return pd.Series([f"reading {number}-{n:010}" for n in range(SIZE // 32)])

    return make, lambda held: pa.total_allocated_bytes()


def pandas_categories():
    import numpy as np
    import pandas as pd
    import pyarrow as pa

    tracemalloc.start()

    def make(number):
        names = [f"city {number}-{n}" for n in range(500)]
        codes = np.arange(SIZE // 2, dtype="int16") % 500
        return pd.Series(pd.Categorical.from_codes(codes, names))

    # The table that finds the names keeps them as Python strings, too.
    return make, lambda held: tracemalloc.get_traced_memory()[0] + pa.total_allocated_bytes()


def pyarrow_tables():
    import pyarrow as pa

    def make(number):
        rows = SIZE // 32
        return pa.table({"id": range(number, number + rows), "text": [f"{number:020}"] * rows})

    return make, lambda held: pa.total_allocated_bytes()


def polars_frames():
    import polars as pl

    def make(number):
        rows = SIZE // 32
        return pl.DataFrame({"id": range(number, number + rows), "n": [0.5 + number] * rows})

    return make, lambda held: sum(frame.estimated_size() for frame in held)


def storage_bytes(held):
    """Return the bytes of the storages of tensors, each once."""
    storages = [tensor.untyped_storage() for tensor in held]
    return sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())


def torch_tensors():
    import torch

    return lambda number: torch.full((SIZE // 4,), float(number)), storage_bytes


def torch_views():
    import torch

    return lambda number: torch.full((512, SIZE // 2048), float(number))[:2].t(), storage_bytes


def torch_parameters():
    import torch

    return lambda number: torch.nn.Parameter(torch.zeros(256, SIZE // 1024)), storage_bytes


def torch_losses():
    import torch

    weights = torch.linspace(0.1, 1, SIZE // 4, requires_grad=True)
    # `exp` keeps its result, and `pow` its argument, which is the same; `sum` keeps nothing.
    return lambda number: weights.exp().pow(2).sum(), lambda held: malloc_in_use()


def pillow_images():
    from PIL import Image

    pixel_bytes = {"L": 1, "RGB": 4, "RGBA": 4, "I;16": 2}

    def make(number):
        mode = list(pixel_bytes)[number % 4]
        return Image.new(mode, (512, SIZE // 512 // pixel_bytes[mode]))

    return make, lambda held: sum(
        image.width * image.height * pixel_bytes[image.mode] for image in held
    )


def lxml_documents():
    from lxml import etree

    def make(number):
        return etree.fromstring(
            "<a>" + "".join(f"<b x='{n}'>text {number}</b>" for n in range(SIZE // 300)) + "</a>"
        )

    return make, lambda held: malloc_in_use()


def ctypes_arrays():
    kind = ctypes.c_double * (SIZE // 8)
    return lambda number: kind(number), lambda held: sum(map(ctypes.sizeof, held))


def mapped_files():
    def make(number):
        with tempfile.TemporaryFile() as file:
            file.truncate(SIZE)
            return mmap.mmap(file.fileno(), 0)

    return make, lambda held: sum(map(len, held))


def anonymous_mappings():
    return lambda number: mmap.mmap(-1, SIZE), lambda held: sum(map(len, held))


def registered_type():
    import memlens

    memlens.register_native(
        f"{Vendor.__module__}.Vendor", lambda blob: [memlens.NativeBlock(0, blob.size, "npu:0")]
    )
    return Vendor, lambda held: sum(blob.size for blob in held)


# The packages that each needs.
KINDS = {
    numpy_owners: ["numpy"],
    numpy_views: ["numpy"],
    pandas_numbers: ["pandas"],
    pandas_strings: ["pandas", "pyarrow"],
    pandas_categories: ["pandas", "pyarrow"],
    pyarrow_tables: ["pyarrow"],
    polars_frames: ["polars"],
    torch_tensors: ["torch"],
    torch_views: ["torch"],
    torch_parameters: ["torch"],
    torch_losses: ["torch"],
    pillow_images: ["PIL"],
    lxml_documents: ["lxml"],
    ctypes_arrays: [],
    mapped_files: [],
    anonymous_mappings: [],
    registered_type: [],
}


# One storage of 8 MiB, and a function that makes slices of it.
BASE = 8 * 1024 * 1024


def numpy_slices():
    import numpy as np

    base = np.zeros(BASE // 8)
    return base, lambda number: base[number : number + 1000]


def pyarrow_slices():
    import pyarrow as pa

    base = pa.table({"id": range(BASE // 8)})
    return base, lambda number: base.slice(number, 1000)


def polars_slices():
    import polars as pl

    base = pl.DataFrame({"id": range(BASE // 8)})
    return base, lambda number: base.slice(number, 1000)


def torch_slices():
    import torch

    base = torch.zeros(BASE // 4)
    return base, lambda number: base[number : number + 1000]


def mmap_slices():
    base = mmap.mmap(-1, BASE)
    return base, lambda number: memoryview(base)[number : number + 1000]


SLICES = {
    numpy_slices: ["numpy"],
    pyarrow_slices: ["pyarrow"],
    polars_slices: ["polars"],
    torch_slices: ["torch"],
    mmap_slices: [],
}
