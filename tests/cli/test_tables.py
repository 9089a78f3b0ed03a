"""The command ``tables`` as people call it."""

from __future__ import annotations

import json

import pytest

from memlens.tables.schema import TABLES
from tests.agents.files import leaking_folder
from tests.cli.test_main import call


def test_the_schema_names_every_column(tmp_path):
    done = call("tables", "schema", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for table in TABLES:
        assert f"\n{table.name}: " in done.stdout
        assert all(f"\n  {name} " in done.stdout for name in table.names)
    assert done.stdout.count("\n  uptime_seconds ") == 1
    shown = json.loads(call("tables", "schema", "--json", cwd=tmp_path).stdout)
    assert [one["name"] for one in shown["tables"]] == [table.name for table in TABLES]


def test_snapshots_become_tables_that_are_merged(tmp_path):
    pytest.importorskip("pyarrow")
    leaking_folder(tmp_path / "heaps", rounds=3)
    names = [f"heaps/heap-{number}.memlens" for number in range(3)]
    done = call("tables", "heap", *names, "out", "--service", "shop", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("out/nodes/service=shop/day=") == 3
    done = call("tables", "merge", "out", cwd=tmp_path)
    assert "Nothing to merge in 6 files." in done.stdout
    assert "6 files too new to merge." in done.stdout
    done = call(
        "tables", "merge", "out", "--older-than", "0", "--target-size", "1GiB", cwd=tmp_path
    )
    assert done.returncode == 0 and done.stdout.startswith("Merged 6 files into 2: "), done.stderr
    assert len([*(tmp_path / "out").rglob("*.parquet")]) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["merge", "none"], "'none' is not a folder: give the table_dir of the profilers"),
        (["merge", "s3://bucket/x"], "an object store cannot rename"),
        (["merge", ".", "--older-than", "soon"], "'soon' is not a positive number of seconds"),
        (["merge", ".", "--target-size", "big"], "'big' is not a size: write for example 128MiB"),
        (["merge", ".", "--target-size", "0"], "'0' is not a size"),
        (["heap", "none.memlens", "out"], "none.memlens"),
        ([], "ACTION"),
    ],
)
def test_mistakes_are_explained(tmp_path, arguments, message):
    pytest.importorskip("pyarrow")
    done = call("tables", *arguments, cwd=tmp_path)
    assert done.returncode == 2 and message in done.stderr


@pytest.mark.parametrize(
    ("text", "size"),
    [("1000", 1000), ("128MiB", 128 << 20), ("2 GB", 2 * 10**9), ("1.5kib", 1536), ("1T", 10**12)],
)
def test_sizes_have_units(text, size):
    from memlens.cli.output import positive_size

    assert positive_size(text) == size
