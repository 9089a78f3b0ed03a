"""Streams of JSON Lines, batches and CSV: correct for all sources, in constant memory."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memlens.structures import ChunkProcessor, process_csv, process_json_lines, stream_json_lines

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@given(st.lists(JSON))
def test_written_values_are_read_back(values):
    text = "\n\n".join(json.dumps(value) for value in values)
    assert list(stream_json_lines(io.StringIO(text))) == values
    data = b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode()
    assert list(stream_json_lines(io.BytesIO(data))) == values


def test_gzip_is_selected_by_suffix(tmp_path):
    path = tmp_path / "a.jsonl.gz"
    with gzip.open(path, "wt") as file:
        file.write('{"a": 1}\n[2]')
    assert list(stream_json_lines(path)) == [{"a": 1}, [2]]


def test_zstandard_is_selected_by_suffix(tmp_path):
    zstandard = pytest.importorskip("zstandard")
    path = tmp_path / "a.jsonl.zst"
    path.write_bytes(zstandard.compress(b'{"a": 1}\n[2]'))
    assert list(stream_json_lines(path)) == [{"a": 1}, [2]]
    table, copy = tmp_path / "table.csv.zst", tmp_path / "copy.csv.zst"
    table.write_bytes(zstandard.compress(b"a,b\n1,2\n3,4\n"))
    assert process_csv(table, copy, lambda rows: rows).written_count == 2
    with zstandard.open(copy) as file:
        assert file.read() == b"a,b\n1,2\n3,4\n"


def test_zst_without_a_module_is_an_error_that_names_one(tmp_path, monkeypatch):
    for module in ("compression.zstd", "backports.zstd", "zstandard"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match="install zstandard"):
        stream_json_lines(tmp_path / "a.jsonl.zst")


def test_bad_lines_raise_or_are_counted_with_their_numbers(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'1\nbad\n\n"' + b"x" * 100 + b'"\n\xff\n5\n')
    with pytest.raises(ValueError, match=r"a\.jsonl, line 2"):
        list(stream_json_lines(path))
    told = []
    result = process_json_lines(
        path,
        lambda value: 1 // (value - 5),
        lambda number, error: told.append(number),
        max_line_bytes=50,
    )
    assert told == [2, 4, 5, 6]
    assert (result.line_count, result.processed_count, result.error_count) == (6, 1, 4)
    assert [error.type_name for error in result.errors] == ["ValueError"] * 3 + [
        "ZeroDivisionError"
    ]
    with pytest.raises(ZeroDivisionError):
        process_json_lines(io.StringIO("5"), lambda value: 1 // (value - 5))


def test_kept_errors_are_bounded_and_results_are_optional():
    text = "x\n" * 5000
    seen = []
    result = process_json_lines(io.StringIO(text), print, "skip", progress=seen.append)
    assert (result.error_count, len(result.errors)) == (5000, 100)
    assert seen == [1000, 2000, 3000, 4000, 5000, 5000]
    kept = process_json_lines(
        io.StringIO("1\n2\n3"), lambda n: n if n > 1 else None, keep_results=True
    )
    assert kept.results == (2, 3)
    with pytest.raises(ValueError, match="on_error"):
        stream_json_lines(io.StringIO(""), "ignore")


def test_async_iteration_reads_the_same_objects():
    async def main():
        return [value async for value in stream_json_lines(io.StringIO("1\n" * 1000))]

    assert asyncio.run(main()) == [1] * 1000


@given(st.lists(st.integers()), st.integers(1, 7), st.integers(1, 4))
def test_batches_give_all_results_in_order(items, batch_size, concurrency):
    sizes = []

    def function(batch):
        sizes.append(len(batch))
        return [item * 2 for item in batch]

    async def slow(batch):
        await asyncio.sleep(0)
        return function(batch)

    async def main():
        processor = ChunkProcessor(slow, batch_size, concurrency=concurrency)
        return [result async for result in processor.process_async(items)]

    expected = [item * 2 for item in items]
    assert list(ChunkProcessor(function, batch_size).process(items)) == expected
    assert all(size == batch_size for size in sizes[:-1])
    assert asyncio.run(main()) == expected


def test_nothing_is_read_before_it_is_needed():
    read = []

    def source():
        for number in range(1000):
            read.append(number)
            yield number

    results = ChunkProcessor(lambda batch: batch, 10).process(source())
    assert read == []
    next(results)
    assert len(read) == 10

    async def main():
        read.clear()
        processor = ChunkProcessor(lambda batch: batch, 10, concurrency=2)
        stream = processor.process_async(source())
        await anext(stream)
        assert len(read) == 20
        await stream.aclose()

    asyncio.run(main())
    with pytest.raises(TypeError, match="process_async"):
        list(ChunkProcessor(asyncio.sleep).process([0]))


def test_csv_is_transformed_and_the_target_replaced_at_the_end(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("name,count\n" + "".join(f'"n,{i}",{i}\n' for i in range(25)))
    path.chmod(0o640)

    def transform(rows):
        assert len(rows) <= 10
        return [
            {"name": row["name"], "twice": 2 * int(row["count"])}
            for row in rows
            if row["count"] != "3"
        ]

    assert process_csv(path, path, transform, batch_size=10) == (25, 24)
    lines = path.read_text().splitlines()
    assert lines[:2] == ["name,twice", '"n,0",0']
    assert len(lines) == 25
    assert path.stat().st_mode & 0o777 == 0o640
    assert process_csv(path, tmp_path / "b.csv.gz", list) == (24, 24)
    assert gzip.decompress((tmp_path / "b.csv.gz").read_bytes()) == path.read_bytes()


@pytest.mark.parametrize("bad", ["x,1,2\n", "x\n", 'x,"1\n'])
def test_bad_row_leaves_the_old_target_and_no_temporary_file(tmp_path, bad):
    source, target = tmp_path / "a.csv", tmp_path / "b.csv"
    source.write_text("name,count\nfine,1\n" + bad)
    target.write_text("old")
    with pytest.raises(ValueError, match=r"a\.csv, line \d"):
        process_csv(source, target, lambda rows: rows, batch_size=1)
    assert target.read_text() == "old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.csv", "b.csv"]


CHILD = """
import resource, sys
from memlens.structures import ChunkProcessor, process_csv, process_json_lines, stream_json_lines
folder = sys.argv[1]
import json, csv, asyncio
limit = 40 * 2**20  # above the current size of the process
now = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (now + limit, now + limit))
line = json.dumps({"text": "x" * 1000, "number": 1})
with open(folder + "/a.jsonl", "w") as file:
    for _ in range(120_000):
        file.write(line + "\\n")
result = process_json_lines(folder + "/a.jsonl", lambda row: row["number"])
print(result.processed_count)
print(sum(1 for _ in ChunkProcessor(list, 100).process(stream_json_lines(folder + "/a.jsonl"))))
with open(folder + "/a.csv", "w") as file:
    file.write("a,b\\n")
    for _ in range(60_000):
        file.write("x" * 1000 + ",2\\n")
print(process_csv(folder + "/a.csv", folder + "/b.csv", lambda rows: rows).written_count)
try:
    open(folder + "/a.jsonl").read()
except MemoryError:
    print("too large at once")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_is_constant_on_large_files(tmp_path):
    run = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert run.stderr == ""
    assert run.stdout.split("\n")[:4] == ["120000", "120000", "60000", "too large at once"]
