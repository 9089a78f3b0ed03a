"""Damaged folders of Parquet files: what DuckDB answers about them, and what a merge does."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from memlens.errors import MemlensError
from memlens.fleet.heap_report import read_heaps
from memlens.fleet.questions import QUESTIONS
from memlens.fleet.table_report import read_tables, rows_text, run_sql
from memlens.tables.arrow_types import arrow_table
from memlens.tables.merging import merge_tables
from memlens.tables.parquet_file import write_table
from memlens.tables.schema import table_named
from memlens.tables.table_folder import list_tables
from tests.damaged.choices import Choices
from tests.damaged.table_files import damaged_table, write_parquet
from tests.fleet.fleet_tables import Life, default_lives
from tests.fleet.whole_heap_tables import write_heaps
from tests.heap.damaged import whole_heap

NAMES = (
    "service=shop", "service=", "day=2026-03-02", "day=0000-00-00", "day=9999-12-31", "hosts=x",
    "hosts=all", "a.parquet", ".hidden", "_x", "day=x", ".merging", ".hold-x", "x\n\x1b[2J",
)  # fmt: skip


class TableFolders:
    """A folder of tables with a damaged file or two, about which every question is asked."""

    def __init__(self) -> None:
        self.rows: dict[str, list[Any]] = {}
        lives = [*default_lives()[:1], *default_lives()[-2:]]
        lives.append(Life("two-0", "1.10", hours=3, suspects={"leak-00000000aa": range(1, 4)},
                          paths={"put (app.py:3)": (1000.0, 30.0)}))  # fmt: skip
        for life in lives:
            life.hours = min(life.hours, 6)
            found: dict[str, dict[str, list[Any]]] = {}
            for name, row in life.rows("shop"):
                for key, value in row.items():
                    found.setdefault(name, {}).setdefault(key, []).append(value)
            for name, columns in found.items():
                self.rows.setdefault(name, []).append(arrow_table(table_named(name), columns))

    def write(self, path: str, choices: Choices) -> None:
        """Write a folder in which a file of one or two tables is damaged."""
        shutil.rmtree(path, ignore_errors=True)
        damaged = {choices.choice(sorted(self.rows)) for _ in range(1 + choices.randrange(2))}
        for name in sorted(self.rows):
            which = choices.randrange(4)
            for number, rows in enumerate(self.rows[name]):
                folders = ["service=shop", "day=2026-03-02", f"hosts=one-{number}"]
                if name in damaged and number == which and choices.randrange(8) == 0:
                    folders[choices.randrange(3)] = choices.choice(NAMES)
                place = os.path.join(path, name, *folders)
                os.makedirs(place, exist_ok=True)
                file = os.path.join(place, "x.parquet")
                if name in damaged and number == which:
                    table = table_named(name)
                    write_parquet(file, damaged_table(rows, table, choices), choices)
                else:
                    write_table(file, table_named(name), {n: rows[n] for n in rows.column_names})

    def read(self, path: str, choices: Choices) -> None:
        """Ask some questions, run a query, merge, and ask one again."""
        listing = list_tables(path)
        str(listing.services), str(listing.days), str(listing.skipped)
        name = choices.choice([*QUESTIONS, None])
        self._ask(path, [] if name is None else [name])
        table = choices.choice(sorted(self.rows))
        try:
            names, rows, has_more = run_sql(path, f"select * from {table}", memory_bytes=256 << 20)
            rows_text(names, rows, has_more=has_more)
        except MemlensError:
            pass
        try:
            report = merge_tables(path, older_than=0.0)
            str(report), repr(report), json.dumps(report.to_dict())
        except MemlensError:
            pass
        self._ask(path, ["growth"])

    def _ask(self, path: str, questions: list[str]) -> None:
        try:
            report = read_tables(path, questions, memory_bytes=256 << 20)
        except MemlensError:
            return
        str(report), json.dumps(report.to_dict())
        report.to_html(os.path.join(os.path.dirname(path), "fleet.html"))


HEAP_QUESTIONS = ("heap-types", "heap-growth", "heap-reach", "heap-holders")


class HeapTables:
    """The tables of a whole heap, damaged, about which every question is asked."""

    def __init__(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            self.names = write_heaps(Path(folder), whole_heap(), whole_heap())
            self.files = {
                os.path.relpath(path, folder): pq.read_table(path)
                for path in sorted(Path(folder).rglob("*.parquet"))
            }

    def write(self, path: str, choices: Choices) -> None:
        """Write a folder in which one file is damaged."""
        shutil.rmtree(path, ignore_errors=True)
        which = choices.randrange(len(self.files))
        for number, (name, rows) in enumerate(sorted(self.files.items())):
            place = os.path.join(path, name)
            os.makedirs(os.path.dirname(place), exist_ok=True)
            if number == which:
                table = table_named(name.partition(os.sep)[0])
                write_parquet(place, damaged_table(rows, table, choices), choices)
            else:
                pq.write_table(rows, place)

    def read(self, path: str, choices: Choices) -> None:
        """Ask a question."""
        name = choices.choice(HEAP_QUESTIONS)
        report = read_heaps(
            path,
            [name],
            snapshot=choices.choice((None, *self.names)),
            type_name=choices.choice((None, "app.Node", "*")) if name[5] in "rh" else None,
            memory_bytes=256 << 20,
        )
        str(report), json.dumps(report.to_dict())
        report.to_html(os.path.join(os.path.dirname(path), "heaps.html"))
