"""Questions over tables: who leaks since which release, and what is no leak."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from math import sqrt

import pytest

from memlens.errors import OptionError, SnapshotFileError
from tests.fleet.fleet_tables import MIB, Life, default_lives, write_fleet

pyarrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")
pytest.importorskip("duckdb")

from memlens.fleet.table_report import read_tables, run_sql  # noqa: E402

LEAK = "leak-00000000aa"


def answer_of(folder, question, **options):
    report = read_tables(folder, [question], **options)
    (service,) = report.services
    (answer,) = service.answers
    return answer


def rows_of(folder, question, **options):
    return answer_of(folder, question, **options).to_dict()["rows"]


def written(tmp_path, lives):
    return write_fleet(tmp_path / "tables", lives)


def test_a_leak_is_new_in_its_release_with_its_share_of_hosts(tmp_path):
    folder = written(tmp_path, None)
    (row,) = rows_of(folder, "new-leaks")
    assert (row["fingerprint"], row["status"], row["first_release"]) == (LEAK, "new", "1.10")
    assert (row["hosts"], row["observed_hosts"], row["share"]) == (3, 12, 0.25)
    assert row["growth_bytes_per_hour"] == MIB
    assert row["suggestion"] == "Bound it."
    sentence = answer_of(folder, "new-leaks").sentence
    assert "app.leak-00000000aa leaks since release 1.10" in sentence
    assert "in 3 hosts, 25 % of those of its releases" in sentence


def test_releases_are_ordered_by_time_not_by_name(tmp_path):
    report = read_tables(written(tmp_path, None), ["limits"])
    assert report.services[0].releases == ("1.9", "1.10")


def test_a_leak_of_the_oldest_release_is_old(tmp_path):
    lives = [
        replace(life, suspects={LEAK: range(3, 31)}) if number % 4 == 0 else life
        for number, life in enumerate(default_lives())
    ]
    assert [row["status"] for row in rows_of(written(tmp_path, lives), "new-leaks")] == ["old"]


def test_a_leak_that_few_hosts_could_have_shown_before_is_only_first_seen(tmp_path):
    lives = default_lives()
    lives = [*lives[:2], *lives[12:]]  # two hosts of the old release: 0.5 expected
    (row,) = rows_of(written(tmp_path, lives), "new-leaks")
    assert row["status"] == "first seen"


def test_a_slow_leak_is_not_new_where_earlier_releases_ran_too_shortly_to_show_it(tmp_path):
    lives = default_lives()
    for life in lives:
        if life.suspects:
            life.suspects = {LEAK: range(20, 31)}
    (row,) = rows_of(write_fleet(tmp_path / "long", lives), "new-leaks")
    assert row["status"] == "new"
    for life in lives[:12]:
        life.hours = 9
    (row,) = rows_of(write_fleet(tmp_path / "short", lives), "new-leaks")
    assert row["status"] == "first seen"


def test_an_old_leak_is_not_said_to_be_in_releases_that_do_not_show_it(tmp_path):
    lives = [replace(life, suspects={}) for life in default_lives()]
    for life in lives[:4]:
        life.suspects = {LEAK: range(3, 31)}
    sentence = answer_of(written(tmp_path, lives), "new-leaks").sentence
    assert "leaks in 1 of 2 releases, also in the oldest, 1.9" in sentence


def test_a_leak_that_a_later_release_does_not_show_is_gone(tmp_path):
    later = [Life(f"three-{number}", "2.0", start_hour=80.0) for number in range(12)]
    (row,) = rows_of(written(tmp_path, [*default_lives(), *later]), "new-leaks")
    assert row["status"] == "new, gone"


@pytest.mark.parametrize(
    "change",
    [
        {"suspects": {LEAK: range(5, 7)}},  # for two hours
        {"suspects": {LEAK: range(5, 8)}},  # three of 26 verdicts since
        {"confidence": "low"},
        {"suspects": {}},
    ],
)
def test_accusations_by_chance_are_no_leak(tmp_path, change):
    lives = [replace(life, **change) if life.suspects else life for life in default_lives()]
    answer = answer_of(written(tmp_path, lives), "new-leaks")
    assert (answer.rows, answer.sentence[:8]) == ((), "No leak ")


def test_one_host_of_many_is_no_leak_of_the_release_and_is_said(tmp_path):
    lives = [Life(f"host-{number}", "1") for number in range(30)]
    lives[4].suspects = {LEAK: range(3, 31)}
    answer = answer_of(written(tmp_path, lives), "new-leaks")
    assert answer.rows == ()
    assert "1 more suspect was confirmed in one host only" in answer.notes[0]


def test_processes_that_ran_shortly_are_not_called_healthy(tmp_path):
    answer = answer_of(written(tmp_path, [Life("h", "1", hours=3)]), "new-leaks")
    assert answer.sentence == "Not known: no process was observed for six hours."


def test_clocks_that_are_off_change_neither_releases_nor_growth(tmp_path):
    lives = default_lives()
    straight = rows_of(write_fleet(tmp_path / "straight", lives), "new-leaks")
    lives[0].skew, lives[13].skew = timedelta(days=-20_000), timedelta(days=900)
    lives[14].skew = timedelta(hours=-9)
    skewed = answer_of(write_fleet(tmp_path / "skewed", lives), "new-leaks")
    rows = skewed.to_dict()["rows"]
    for row in (*rows, *straight):
        del row["since"]
    assert rows == straight
    assert any("clock of 2 hosts is off by days (one-0, two-1)" in note for note in skewed.notes)


def test_limits_show_the_running_processes_the_nearest_first(tmp_path):
    rows = rows_of(written(tmp_path, None), "limits")
    assert [row["host"] for row in rows[:3]] == ["two-0", "two-1", "two-2"]
    assert {row["release"] for row in rows} == {"1.10"}  # the others ended long ago
    assert rows[0]["headroom_bytes"] == 524 * MIB
    assert rows[0]["seconds_to_limit"] == pytest.approx(524 / 10 * 3600)
    assert rows[3]["seconds_to_limit"] is None


def test_a_clock_that_is_hours_ahead_does_not_end_the_others(tmp_path):
    lives = default_lives()
    lives[15].skew = timedelta(hours=10)
    assert len(rows_of(written(tmp_path, lives), "limits")) == 12


def test_growth_by_type_counts_hosts_and_adds_up(tmp_path):
    (row,) = rows_of(written(tmp_path, None), "growth")
    assert (row["type"], row["growing_hosts"], row["hosts"]) == ("app.Entry", 3, 12)
    assert row["growth_bytes_per_hour"] == pytest.approx(3 * 8 * MIB)


def test_errors_of_merged_paths_are_combined_not_added(tmp_path):
    (row,) = rows_of(written(tmp_path, None), "paths")
    assert row["live_bytes"] == pytest.approx(1000.0 * 78)
    assert row["live_bytes_stderr"] == pytest.approx(30.0 * sqrt(12))
    assert row["allocated_bytes_per_hour"] == pytest.approx(2 * 1000.0 * 78)


def test_a_release_that_changes_a_type_is_told_from_noise(tmp_path):
    lives = []
    for number in range(40):
        after = number >= 20
        noise = (number * 7919) % 20 * MIB // 20
        types = {"dict": (10 * MIB + noise, 0), "app.Page": (20 * MIB + noise + after * 5 * MIB, 0)}
        lives.append(
            Life(f"h{number}", "2" if after else "1", start_hour=50.0 * after, types=types,
                 rss=200 * MIB + noise)
        )  # fmt: skip
    answer = answer_of(written(tmp_path, lives), "deploy")
    rows = {row["what"]: row for row in answer.to_dict()["rows"]}
    assert {what: row["is_real"] for what, row in rows.items()} == {
        "app.Page": "yes", "dict": "no", "resident memory": "no",
    }  # fmt: skip
    assert rows["app.Page"]["change_bytes"] == pytest.approx(5 * MIB, rel=0.05)
    assert answer.sentence.startswith("From 1 to 2, app.Page changed by +")


def test_deploy_says_what_it_does_not_know(tmp_path):
    lives = [
        Life(f"h{number}", str(number % 2), hours=7, start_hour=number % 2) for number in range(10)
    ]
    answer = answer_of(written(tmp_path, lives), "deploy")
    assert answer.sentence.startswith("Not known")
    missing = answer_of(tmp_path / "tables", "deploy", before="7")
    assert missing.sentence == "There is no release '7'; there are: 0, 1."


def test_damaged_files_are_named_and_the_rest_is_read(tmp_path):
    folder = written(tmp_path, None)
    files = sorted(folder.rglob("*.parquet"))
    whole = files[0].read_bytes()
    files[0].write_bytes(whole[: len(whole) // 2])
    middle = bytearray(files[5].read_bytes())
    middle[40:200] = bytes(160)
    files[5].write_bytes(middle)
    files[9].write_bytes(b"")
    report = read_tables(folder)
    skipped = {one.path for one in report.skipped}
    assert {str(files[0]), str(files[9])} <= skipped
    assert report.services[0].processes >= 22
    assert {str(files[5])} <= skipped
    assert "Skipped:" in str(report)


def test_a_file_with_a_day_that_python_lacks_is_named_and_the_rest_is_read(tmp_path):
    folder = written(tmp_path, None)
    path = sorted((folder / "readings").rglob("*.parquet"))[3]
    table = parquet.read_table(path, partitioning=None)
    place = table.schema.get_field_index("day")
    late = pyarrow.array([1 << 30] * len(table), pyarrow.int32()).cast(pyarrow.date32())
    parquet.write_table(table.set_column(place, table.schema.field(place), late), path)
    report = read_tables(folder)
    assert [one.path for one in report.skipped] == [str(path)]
    assert "the column day has a value of" in report.skipped[0].reason
    assert report.services[0].processes >= 22


def test_own_sql_reads_tables_and_nothing_else(tmp_path):
    folder = written(tmp_path, None)
    names, rows, has_more = run_sql(
        folder, "select distinct release from readings order by 1", limit=1
    )
    assert (names, rows, has_more) == (["release"], [("1.10",)], True)
    secret = tmp_path / "secret.csv"
    secret.write_text("a\n1\n")
    for sql in (
        f"select * from read_csv('{secret}')",
        f"copy (select 1) to '{tmp_path}/out.csv'",
        "select 1; select 2",
        "select nothing from readings",
        "not sql",
        "set enable_external_access = true",
    ):
        with pytest.raises(OptionError):
            run_sql(folder, sql)
    assert not (tmp_path / "out.csv").exists()


def test_what_is_asked_wrongly_is_refused_clearly(tmp_path):
    folder = written(tmp_path, None)
    with pytest.raises(OptionError, match="no question 'colours': ask one of new-leaks"):
        read_tables(folder, ["colours"])
    with pytest.raises(OptionError, match="no tables of 'x': there are shop"):
        read_tables(folder, service="x")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SnapshotFileError, match="no tables"):
        read_tables(tmp_path / "empty")
    with pytest.raises(OptionError, match="256 MiB"):
        read_tables(folder, memory_bytes=1000)


def test_days_and_services_select(tmp_path):
    folder = written(tmp_path, None)
    write_fleet(folder, [Life("mail-1", None)], service="mail & co")
    assert [one.service for one in read_tables(folder, ["limits"]).services] == [
        "mail & co",
        "shop",
    ]
    (one,) = read_tables(folder, ["limits"], service="mail & co").services
    assert one.releases == ("(no release)",)
    newest = read_tables(folder, ["limits"], service="shop", days=1)
    assert newest.services[0].hosts == 12


def test_a_url_gives_the_answers_of_the_folder_without_files_of_a_newer_memlens(tmp_path):
    pytest.importorskip("numpy")
    from benchmarks.simulated_fleet import make_fleet

    tables = ("readings", "verdicts", "suspects")
    truth = make_fleet(tmp_path, seed=7, pods=20, days=2, tables=tables)
    assert any("newer" in one.what for one in truth.damage)
    local, remote = (
        read_tables(place, ["new-leaks", "limits"], service=truth.service)
        for place in (tmp_path, tmp_path.as_uri())
    )
    assert len(local.skipped) == len(remote.skipped) > 0
    for first, second in zip(local.services[0].answers, remote.services[0].answers, strict=True):
        assert (first.sentence, first.notes, len(first.rows)) == (
            second.sentence, second.notes, len(second.rows),
        )  # fmt: skip
