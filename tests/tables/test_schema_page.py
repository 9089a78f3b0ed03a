"""docs/tables.md describes the schema as it is."""

from __future__ import annotations

from pathlib import Path

from memlens.files import _WRITERS, _parquet
from memlens.profiler.report_tables import REPORT_TABLES
from memlens.tables.schema import SCHEMA_VERSION, TABLES, TYPES
from memlens.tables.schema_text import schema_markdown, unit_of
from memlens.tables.top_rows import MAX_ROWS
from memlens.tables.value_tables import TABLES_OF

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "tables.md").read_text(encoding="utf-8")


def test_page_has_the_columns_of_the_schema():
    assert schema_markdown() in PAGE, "copy the text that schema_markdown() returns to the page"
    assert f"The version of the schema is {SCHEMA_VERSION}" in PAGE
    assert f"the {MAX_ROWS} largest rows" in PAGE


def test_page_names_the_tables_of_each_value():
    choices = {**TABLES_OF, **dict.fromkeys(_exported() - TABLES_OF.keys(), REPORT_TABLES)}
    assert len(choices) == 4
    for kind, tables in choices.items():
        row = f"| `{kind.__name__}` | {', '.join(f'`{name}`' for name in tables)} |"
        assert row in PAGE


def _exported():
    return {kind for kind, writers in _WRITERS if writers.get(".parquet") is _parquet}


def test_each_column_has_a_known_type_and_sizes_have_a_unit():
    for table in TABLES:
        assert len({*table.names}) == len(table.columns)
        for column in table.columns:
            assert column.type in TYPES
            assert column.meaning
            is_sized = "bytes" in column.name or "seconds" in column.name
            assert bool(unit_of(column)) == is_sized, column.name
