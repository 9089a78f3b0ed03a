"""Whole heaps in Spark: every question gives the rows that DuckDB gives."""

from __future__ import annotations

import pytest

pytest.importorskip("pyspark")
pytest.importorskip("pyarrow")
pytest.importorskip("duckdb")

from memlens.fleet.whole_heaps import HEAP_QUESTIONS, heap_answer
from tests.fleet.test_whole_heaps import ORDER, heaps  # noqa: F401 - a fixture
from tests.fleet.whole_heap_tables import duckdb_heaps, spark_heaps


@pytest.mark.parametrize("question", HEAP_QUESTIONS)
def test_whole_heaps_have_equal_answers(spark, heaps, question):  # noqa: F811
    folder, names, _ = heaps
    options = {"snapshot": names[1], "type_name": ORDER, "limit": 10_000}
    expected = heap_answer(duckdb_heaps(folder), question, **options)
    answer = heap_answer(spark_heaps(spark, folder), question, **options)
    assert answer == expected
    assert answer.rows
    assert [table.name for table in spark.catalog.listTables() if "heap_" in table.name] == []


def test_spark_has_two_workers(spark):
    if spark.sparkContext.master.startswith("local-cluster"):
        executors = spark._jsc.sc().statusTracker().getExecutorInfos()
        assert len(executors) == 3  # and the driver
