"""The HTML report of a fleet: its data, its limits, hostile names."""

from __future__ import annotations

import json

from memlens.fleet.answers import Answer, AnswerColumn
from memlens.fleet.fleet_report import FleetReport
from memlens.fleet.processes import FleetProcess
from memlens.report.html.fleet_page import fleet_document, fleet_html

HOSTILE = "</script><img src=x onerror=alert(1)>\u202eevil" + "x" * 5000
COLUMNS = (
    AnswerColumn("fingerprint", "id", "text"),
    AnswerColumn("holder", "holder", "text"),
    AnswerColumn("hosts", "hosts", "count"),
    AnswerColumn("observed_hosts", "of hosts", "count"),
    AnswerColumn("share", "share", "share"),
    AnswerColumn("growth_bytes_per_hour", "growth", "bytes per hour"),
    AnswerColumn("since", "since", "time"),
    AnswerColumn("size", "size", "bytes"),
    AnswerColumn("p", "p", "number"),
    AnswerColumn("left", "time left", "seconds"),
)


def leak(holder, number=0, growth=1024.0**2):
    return (
        f"leak-{number}",
        holder,
        4,
        80,
        0.05,
        growth,
        1.8e9 + number,
        1 << 20,
        0.0004,
        7200.0,
    )


def services(rows, row_count=None, notes=("A note.",)):
    answer = Answer(
        "new-leaks",
        "Leaks by release",
        f"{rows[0][1] if rows else 'Nothing'} leaks.",
        COLUMNS,
        tuple(rows),
        row_count or len(rows),
        notes,
    )
    return [{"service": "shop", "summary": "80 hosts", "answers": [answer.to_dict()]}]


def test_leak_is_a_card_and_a_row_with_units():
    document = fleet_document(title="/tables", services=services([leak("app.cache")]))
    (shop,) = document["services"]
    assert shop["leaks"][0]["holder"] == "app.cache"
    assert (shop["leaks"][0]["hosts"], shop["leaks"][0]["of_hosts"]) == (4, 80)
    (table,) = shop["tables"]
    units = {column["key"]: column["unit"] for column in table["columns"]}
    assert units["growth_bytes_per_hour"] == "bytes_per_hour"
    assert units["since"] == "time"
    assert table["rows"][0][4] == 5  # percent
    assert table["omitted"] is None
    assert table["notes"] == ["A note."]


def test_rows_that_are_not_shown_are_counted():
    rows = [leak("app.cache", i) for i in range(1500)]
    (shop,) = fleet_document(title="/t", services=services(rows, 9000))["services"]
    assert len(shop["tables"][0]["rows"]) == 1000
    assert shop["tables"][0]["omitted"] == {"rows": 8000, "text": "and 8,000 more"}
    assert (len(shop["leaks"]), shop["leak_count"]) == (12, 9000)


def test_number_that_json_does_not_have_is_unknown():
    document = fleet_document(
        title="/t", services=services([leak("app.cache", growth=float("nan"))])
    )
    json.dumps(document, allow_nan=False)
    assert document["services"][0]["tables"][0]["rows"][0][5] is None


def test_service_that_leaks_is_the_headline():
    calm = services([], notes=())[0] | {"service": "mail"}
    document = fleet_document(title="/t", services=[calm, *services([leak("app.cache")])])
    assert [one["service"] for one in document["services"]] == ["shop", "mail"]
    keys = [table["key"] for one in document["services"] for table in one["tables"]]
    assert keys == ["new-leaks", "new-leaks-2"]


def test_hostile_names_are_escaped_and_cut():
    skipped = [{"path": HOSTILE, "reason": HOSTILE}] * 60
    page = fleet_html(title=HOSTILE, services=services([leak(HOSTILE)]), skipped=skipped).decode()
    assert page.count("</script>") == 2  # the data and the script
    assert "<img" not in page
    assert "\u202e" not in page
    assert "x" * 1000 not in page


def test_large_fleet_stays_within_five_megabytes():
    many = services([leak("a" * 290 + str(i), i) for i in range(1000)])
    page = fleet_html(title="/t", services=many * 30)
    assert len(page) <= 5_000_000


def test_empty_report_is_at_most_150_kilobytes():
    assert len(fleet_html(title="/t", services=[])) <= 150_000


def test_report_over_folders_has_its_processes_as_a_table(tmp_path):
    process = FleetProcess(7, "t", "/f", None, 1.8e9, 1.8e9, 1 << 30, 1 << 20, "no leak", "high")
    path = tmp_path / "fleet.html"
    size_bytes = FleetReport((process,), ()).to_html(path)
    page = path.read_text(encoding="utf-8")
    assert len(page.encode()) == size_bytes
    data = page.partition('id="memlens-data">')[2].partition("</script>")[0]
    (fleet,) = json.loads(data)["services"]
    assert fleet["sentence"] == "No leak in 1 process."
    assert fleet["tables"][1]["rows"][0][4:7] == [1 << 30, 1 << 20, "no leak"]
