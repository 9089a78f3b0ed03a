"""Questions about tables in an object store: the same answers as of the folder."""

from __future__ import annotations

import pytest

from memlens.cli.main import main
from tests.fleet.fleet_tables import write_fleet
from tests.tables.object_store import running_store

pytest.importorskip("pyarrow")
pytest.importorskip("duckdb")
pytest.importorskip("moto.server")

from pyarrow import fs

from memlens.fleet.table_report import read_tables, run_sql


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """A table folder, and the URL of its copy."""
    folder = write_fleet(tmp_path_factory.mktemp("fleet") / "tables")
    whole = next(folder.rglob("*.parquet"))
    whole.with_name("cut.parquet").write_bytes(whole.read_bytes()[:-7])
    with running_store() as (query, filesystem):
        filesystem.create_dir("questions")  # moto has one store for all servers
        fs.copy_files(str(folder), "questions/fleet", destination_filesystem=filesystem)
        yield folder, f"s3://questions/fleet?{query}"


def test_each_question_has_the_same_answer(places):
    local, remote = (read_tables(place) for place in places)
    assert remote.services == local.services
    assert remote.file_count == local.file_count
    assert len(remote.skipped) == len(local.skipped) == 1


def test_own_sql_and_the_command(places, capsys):
    _, url = places
    sql = "select release, count(distinct host) from readings group by 1 order by 1"
    assert run_sql(url, sql)[1] == [("1.10", 12), ("1.9", 12)]
    assert main(["fleet", url, "new-leaks"]) == 0
    assert "leaks since release 1.10" in capsys.readouterr().out
