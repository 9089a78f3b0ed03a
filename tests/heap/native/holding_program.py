"""Hold random amounts of memory through one library, shared and viewed, and save a snapshot.

    python -m tests.heap.native.holding_program LIBRARY SEED PATH

Prints the bytes that the library's own counter tells. All of it hangs on the list `HELD`.
"""

import ctypes
import gc
import mmap
import random
import sys
import tempfile
import tracemalloc

import memlens

HELD = []
NUMPY_DOMAIN = 389047
OBJECTS = 60


def numpy_bytes():
    only = tracemalloc.DomainFilter(inclusive=True, domain=NUMPY_DOMAIN)
    return sum(t.size for t in tracemalloc.take_snapshot().filter_traces([only]).traces)


def hold_numpy(choose):
    import numpy as np

    tracemalloc.start()
    before = numpy_bytes()
    for _ in range(OBJECTS):
        array = np.zeros((choose.randrange(10, 200), choose.randrange(10, 500)))
        HELD.append(
            choose.choice([array, array.T, array[2:5], memoryview(array), array.view("u8")])
        )
        HELD.append([HELD[choose.randrange(len(HELD))], array[::3]])
    del array
    return numpy_bytes() - before


def hold_pandas(choose):
    import numpy as np
    import pandas as pd
    import pyarrow as pa

    tracemalloc.start()
    pd.DataFrame({"a": ["b"]}).copy()
    before = numpy_bytes() + pa.total_allocated_bytes()
    for number in range(OBJECTS):
        rows = choose.randrange(100, 5000)
        frame = pd.DataFrame(
            {
                "number": np.full(rows, number),
                "text": [f"{number} {n}" * choose.randrange(1, 4) for n in range(rows)],
                "kind": pd.Categorical.from_codes(np.arange(rows) % 3, ["a", "b", "c"]),
            }
        )
        HELD.append(choose.choice([frame, frame.copy(), frame["text"], frame.iloc[:50], [frame]]))
        HELD.append(frame[["number"]])
    del frame
    gc.collect()
    return numpy_bytes() + pa.total_allocated_bytes() - before


def hold_pyarrow(choose):
    import pyarrow as pa

    before = pa.total_allocated_bytes()
    for number in range(OBJECTS):
        rows = choose.randrange(10, 5000)
        table = pa.table(
            {
                "id": range(rows),
                "text": [f"{number} {n}" for n in range(rows)],
                "kind": pa.array(["a", "bc"] * rows).slice(0, rows).dictionary_encode(),
                "list": [[1, 2, n] for n in range(rows)],
            }
        )
        HELD.append(choose.choice([table, table.slice(3, 20), table.column("text"), [table]]))
        HELD.append(table.select(["id"]).to_batches())
        HELD.append(table.column("list").chunk(0).values)
    del table
    gc.collect()
    return pa.total_allocated_bytes() - before


def hold_polars(choose):
    import polars as pl

    total = 0
    for number in range(OBJECTS):
        rows = choose.randrange(10, 5000)
        frame = pl.DataFrame({"id": range(rows), "n": [float(number)] * rows})
        total += frame.estimated_size()
        HELD.append([frame, frame.clone(), frame.slice(2, 5), frame["n"], frame.select("id")])
    return total


def hold_torch(choose):
    import torch

    total = 0
    for _ in range(OBJECTS):
        tensor = torch.zeros(choose.randrange(1, 300), choose.randrange(1, 300))
        total += tensor.untyped_storage().nbytes()
        HELD.append(
            choose.choice([tensor, tensor.t(), tensor[:1], tensor.view(-1), tensor.numpy()])
        )
        HELD.append({"detached": tensor.detach()})
        if choose.random() < 0.3:
            parameter = torch.nn.Parameter(tensor)
            loss = parameter.exp().sum()
            total += tensor.untyped_storage().nbytes() + loss.untyped_storage().nbytes()
            HELD.append([parameter, loss])
    return total


def hold_images(choose):
    from PIL import Image

    total = 0
    for _ in range(OBJECTS):
        mode, pixel_bytes = choose.choice([("L", 1), ("RGB", 4), ("RGBA", 4), ("1", 1), ("F", 4)])
        width, height = choose.randrange(10, 400), choose.randrange(10, 400)
        HELD.append([Image.new(mode, (width, height))] * 2)
        total += width * height * pixel_bytes
    return total


def hold_ctypes(choose):
    total = 0
    for _ in range(OBJECTS):
        numbers = (ctypes.c_double * choose.randrange(100, 20_000))()
        total += ctypes.sizeof(numbers)
        HELD.append(choose.choice([numbers, memoryview(numbers)[::2], [numbers, numbers]]))
        HELD.append((ctypes.c_double * 10).from_buffer(numbers))
    return total


def hold_mappings(choose):
    total = 0
    for _ in range(OBJECTS):
        size = choose.randrange(1, 100) * mmap.PAGESIZE
        with tempfile.TemporaryFile() as file:
            file.truncate(size)
            mapped = mmap.mmap(choose.choice([file.fileno(), -1]), size)
        total += size
        HELD.append(
            choose.choice([mapped, memoryview(mapped)[5:], (ctypes.c_char * 9).from_buffer(mapped)])
        )
    return total


LIBRARIES = {
    "numpy": hold_numpy,
    "pandas": hold_pandas,
    "pyarrow": hold_pyarrow,
    "polars": hold_polars,
    "torch": hold_torch,
    "PIL": hold_images,
    "ctypes": hold_ctypes,
    "mmap": hold_mappings,
}


def main():
    library, seed, path = sys.argv[1:]
    total = LIBRARIES[library](random.Random(int(seed)))
    memlens.take_heap_snapshot(path, mode="fork")
    print(total)


if __name__ == "__main__":
    main()
