"""The questions over the tables of a fleet in Spark: the answers are those of DuckDB."""

from __future__ import annotations

import math
import shutil

import pytest

pytest.importorskip("pyspark")
pytest.importorskip("pyarrow")
pytest.importorskip("duckdb")

from benchmarks.simulated_fleet import make_fleet
from memlens.errors import OptionError, SnapshotFileError
from memlens.fleet.questions import QUESTIONS
from memlens.fleet.spark import SparkEngine, answer
from memlens.fleet.table_report import read_tables
from memlens.tables.table_folder import list_tables

RELATIVE = 1e-9


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    """The tables of a simulated fleet, with damaged files, and the answers of DuckDB."""
    folder = tmp_path_factory.mktemp("fleet")
    make_fleet(folder, seed=3, pods=16, days=2)
    report = read_tables(folder, QUESTIONS, limit=1000)
    return folder, report, {one.question: one for one in report.services[0].answers}


def assert_equal(found, expected):
    """Assert that two answers are equal, their numbers to a billionth."""
    assert found.columns == expected.columns
    assert found.row_count == expected.row_count
    assert len(found.rows) == len(expected.rows)
    for row, other in zip(found.rows, expected.rows, strict=True):
        for column, value, wanted in zip(found.columns, row, other, strict=True):
            if isinstance(wanted, float) and isinstance(value, float):
                close = math.isclose(value, wanted, rel_tol=RELATIVE, abs_tol=1e-9)
                assert close, (column.name, value, wanted)
            else:
                assert value == wanted, column.name
    assert found.sentence == expected.sentence


@pytest.mark.parametrize("question", QUESTIONS)
def test_answer_is_that_of_duckdb(spark, fleet, question):
    folder, report, expected = fleet
    found = answer(spark, folder, question, service=report.services[0].service, limit=1000)
    assert_equal(found, expected[question])
    assert found.rows or not expected[question].rows
    *notes, skipped = found.notes
    assert tuple(notes) == expected[question].notes
    # Spark was asked this question only, so it need not have met the damaged files of all tables.
    assert " files cannot be read and are left out, as " in skipped
    assert 0 < int(skipped.split()[0]) <= len(report.skipped)


def test_session_keeps_its_views_and_settings(spark, fleet):
    spark.range(3).createOrReplaceTempView("readings")
    before = spark.conf.get("spark.sql.session.timeZone")
    answer(spark, fleet[0], "limits", service=fleet[1].services[0].service)
    assert spark.sql("select count(*) from readings").collect()[0][0] == 3
    assert spark.conf.get("spark.sql.session.timeZone") == before
    assert [one.name for one in spark.catalog.listTables()] == ["readings"]
    spark.catalog.dropTempView("readings")


def test_url_is_listed_by_spark(spark, fleet, tmp_path):
    folder, report, expected = fleet
    place = tmp_path / "fleet"
    shutil.copytree(folder, place)
    found = answer(
        spark, f"file://{place}", "limits", service=report.services[0].service, limit=1000
    )
    assert_equal(found, expected["limits"])


def test_columns_that_files_do_not_have_are_null(spark, fleet, tmp_path):
    import pyarrow.parquet as parquet

    file = list_tables(fleet[0]).files["readings"][0]
    rows = parquet.ParquetFile(file.path)
    place = tmp_path / file.path[len(str(fleet[0])) + 1 :]
    place.parent.mkdir(parents=True)
    table = rows.read().drop_columns(["limit_bytes"])
    parquet.write_table(
        table.append_column("newer", table["rss_bytes"]).replace_schema_metadata(
            rows.schema_arrow.metadata | rows.metadata.metadata
        ),
        place,
    )
    engine = SparkEngine(spark, tmp_path)
    found = engine.rows("select count(*), count(limit_bytes), sum(rss_bytes) from readings")
    assert found == [(table.num_rows, 0, sum(table["rss_bytes"].to_pylist()))]


def test_questions_that_cannot_be_answered_say_what_to_do(spark, fleet, tmp_path):
    with pytest.raises(OptionError, match="ask one of new-leaks"):
        answer(spark, fleet[0], "size")
    with pytest.raises(OptionError, match="no service 'x' is here: name one of"):
        answer(spark, fleet[0], "limits", service="x")
    with pytest.raises(OptionError, match="several services are here: name one of checkout"):
        answer(spark, fleet[0], "limits")
    with pytest.raises(SnapshotFileError, match="there are no readings in"):
        answer(spark, tmp_path, "limits")
    with pytest.raises(OptionError, match="there are no whole heaps here"):
        answer(spark, fleet[0], "heap-types")
