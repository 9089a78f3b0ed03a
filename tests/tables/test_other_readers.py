"""Engines read a table folder as docs/tables.md says, whatever else lies in it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("pyarrow")

import pyarrow as pa
import pyarrow.parquet as pq

from memlens.tables.arrow_types import arrow_table
from memlens.tables.merging import merge_tables
from memlens.tables.schema import READINGS
from memlens.tables.table_folder import list_tables, write_rows
from tests.tables.rows import some_rows

PAGE = Path(__file__).parents[2] / "docs" / "tables.md"
EXPECTED = {("shop", 10), ("123", 10), ("a b/ü", 10)}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a table folder ``tables``: merged and other files, leftovers, a newer file."""
    place = tmp_path_factory.mktemp("readers")
    for service, _ in sorted(EXPECTED):
        for number in range(2):
            rows = some_rows(READINGS, 5, service=service, host=f"pod {number}")
            write_rows(place / "tables", READINGS, rows, name="one")
        if service == "a b/ü":
            merge_tables(place / "tables", older_than=0)
    files = list_tables(place / "tables").files["readings"]
    assert {file.hosts for file in files} == {"all", "pod 0", "pod 1"}
    newer = arrow_table(READINGS, some_rows(READINGS, 5, service="shop", host="pod 0"))
    newer = newer.append_column("swap_bytes", pa.array([1] * 5))
    metadata = {"memlens.table": "readings", "memlens.schema_version": "1"}
    (path,) = (Path(one.path) for one in files if one.service == "shop" and one.hosts == "pod 0")
    pq.write_table(newer.replace_schema_metadata(metadata), path)
    hold = path.parent.parent / "_merging-1" / "hosts=x"
    hold.mkdir(parents=True)
    (hold / "held.parquet").write_bytes(path.read_bytes())
    (path.parent / ".x.parquet.1-0123456789abcdef.part").write_bytes(b"PAR1")
    return place


def block(language, word):
    """The block of the page that has this word."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    (found,) = [one for one in blocks if word in one]
    return found


def test_duckdb(place, monkeypatch):
    duckdb = pytest.importorskip("duckdb")
    monkeypatch.chdir(place)
    query = block("sql", "read_parquet")
    assert {most for _, _, most in duckdb.sql(query).fetchall()} == {1, 1001, 2001, 3001, 4001}
    source = re.search(r"read_parquet\(.*?\)\n", query)[0]
    found = duckdb.sql(f"SELECT service, count(*) FROM {source} GROUP BY service").fetchall()
    assert {*found} == EXPECTED


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_pandas_and_polars(place, monkeypatch, library):
    pytest.importorskip(library)
    monkeypatch.chdir(place)
    values = {}
    exec(block("python", f"import {library}"), values)
    readings = values["readings"]
    if library == "polars":
        services = readings.collect()["service"].to_list()
    else:
        services = list(readings["service"])
    assert {(one, services.count(one)) for one in services} == EXPECTED
