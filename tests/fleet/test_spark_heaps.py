"""Whole heaps in Spark: every question gives the rows that DuckDB gives."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("pyspark")
pytest.importorskip("pyarrow")
pytest.importorskip("duckdb")

from benchmarks import whole_heaps
from memlens.fleet.spark import answer
from memlens.fleet.whole_heaps import HEAP_QUESTIONS, heap_answer
from tests.fleet.whole_heap_tables import duckdb_heaps


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A generated heap, and what is true of it."""
    folder = tmp_path_factory.mktemp("made")
    whole_heaps.make(folder, 20_000)
    return folder, json.loads((folder / "truth.json").read_text())


@pytest.mark.parametrize("question", HEAP_QUESTIONS)
def test_generated_heap_has_equal_and_true_answers(spark, made, question):
    folder, truth = made
    options = whole_heaps.options_of(question)
    with duckdb_heaps(folder) as engine:
        expected = heap_answer(engine, question, **options)
    whole_heaps.check(expected, truth)
    assert answer(spark, folder, question, limit=50, **options) == expected
