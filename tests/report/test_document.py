"""The data document: its form, hostile names, and its budget."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

import memlens
from memlens._frame import Frame
from memlens.errors import ComparisonError, OptionError
from memlens.leaks.baselines import Baseline
from memlens.process.history import Mark
from memlens.process.memory_breakdown import MemoryPart, breakdown
from memlens.report.html.document import Inputs, document_of, document_text
from memlens.report.html.html_report import MAX_REPORT_BYTES, HtmlReport
from memlens.report.html.limits import Limits
from tests.heap.planted import Planter
from tests.report.document_schema import check
from tests.report.html_files import read_report
from tests.report.test_flame import profile_of
from tests.report.values import MIB, detector, hop, leaks, point, site, suspect

HOSTILE = "</script><!--<script>&\u2028\u2029\x00\ud800'\"\\"


def growing_snapshots(count=4, name="shop"):
    """Snapshots of a module whose dict gains elements."""
    snapshots = []
    for number in range(count):
        planter = Planter()
        sessions = planter.node("dict", 200 + 100 * number, key="sessions", length=100 * number)
        for session in range(100 * number):
            element = planter.node("shop.Session", 500, key=("session", session))
            planter.edge(sessions, element, name=f"s{session}")
        planter.module(name, sessions=sessions)
        snapshots.append(planter.snapshot(timestamp=1000.0 + 60 * number))
    return snapshots


def everything():
    """Inputs for every part of the document."""
    frames = [Frame("main", "/srv/shop/main.py", 3), Frame("add", "/srv/shop/store.py", 9)]
    return Inputs(
        snapshots=growing_snapshots(),
        leaks=leaks(suspect(sites=(site(),)), suspect("shop.other", fingerprint="")),
        allocations=profile_of([(frames, 5000, 9000), (frames[:1], 10, 10)]),
        history=[point(-4000, MIB, 5000), point(-3900, 2 * MIB, collections=1)],
        marks=[Mark(1100.0, "deploy", "version 2")],
        detectors=[detector("stable")],
        breakdown=breakdown(),
        health={"sampler": {"readings_taken": 3}, "detectors": {"rss": "stable"}},
        command="shop.py",
    )


def test_a_document_of_everything_has_its_form():
    document = document_of(everything())
    check(document)
    assert document["title"] == "Memory report: shop.py, process 1"
    assert document["verdict"]["state"] == "leak"
    assert [card["id"] for card in document["suspects"]] == ["leak-0123456789", "suspect"]
    assert {table["key"] for table in document["tables"]} >= {"comparison", "types", "lines"}
    for part in ("timeline", "treemap", "breakdown", "flames", "lines", "health", "glossary"):
        assert document[part], part


def test_an_empty_document_says_what_is_missing_and_how_to_get_it():
    document = HtmlReport().document()
    check(document)
    assert document["title"] == "Memory report"
    for part in ("timeline", "treemap", "breakdown"):
        assert document[part] is None
    for part in ("suspects", "flames", "tables", "lines", "health"):
        assert document[part] == []
    said = " ".join(document["missing"])
    for word in ("MemoryProfiler", "Suspects", "Allocations", "Objects", "Breakdown"):
        assert word in said


@pytest.mark.parametrize(
    "part", ["snapshots", "leaks", "allocations", "history", "breakdown", "health", "detectors"]
)
def test_each_part_alone_has_its_form(part):
    check(document_of(Inputs(**{part: getattr(everything(), part)})))


def test_snapshots_are_searched_for_leaks_and_compared():
    report = HtmlReport(snapshots=reversed(growing_snapshots()))
    document = report.document()
    check(document)
    assert report.verdict == document["verdict"]["sentence"]
    assert report.verdict.startswith("Leak: shop.sessions")
    (card,) = document["suspects"]
    assert [step["text"] for step in card["path"]] == ["shop", ".sessions"]
    assert card["path"][-1]["kind"] == "holder"
    assert card["since"] == "since 1970-01-01 00:16:40 UTC (first snapshot)"
    comparison = document["tables"][0]
    assert comparison["rows"][0][:4] == ["shop.Session", 0, 300, 300]


def test_a_baseline_says_what_is_known(tmp_path):
    snapshots = growing_snapshots()
    found = memlens.find_leaks(snapshots)
    Baseline(found).save(tmp_path / "known.json")
    known = HtmlReport(snapshots=snapshots, baseline=tmp_path / "known.json").document()
    new = HtmlReport(leaks=found, baseline=Baseline()).document()
    assert [card["status"] for card in known["suspects"]] == ["known"]
    assert [card["status"] for card in new["suspects"]] == ["new"]
    check(known)


# -- what user code may be called -----------------------------------------------------------------


def hostile_inputs():
    planter = Planter()
    table = planter.node("T</script>\u2028", 100, length=2)
    planter.edge(table, planter.node("bytes", 5000), name="</script><!--")
    planter.module("mod</script>", x=table)
    path = replace(suspect().path, root=HOSTILE, hops=(hop(f"[{HOSTILE}]", HOSTILE, "key"),))
    frame = Frame(HOSTILE, f"/srv/{HOSTILE}.py", 5)
    return {
        "snapshots": [planter.snapshot(reason="</script>\u2029")],
        "leaks": leaks(
            suspect(
                HOSTILE,
                path=path,
                growing_types=(HOSTILE,),
                sites=(site(HOSTILE),),
                evidence=HOSTILE,
            )
        ),
        "allocations": profile_of([([frame], 10, 10)]),
        "command": HOSTILE,
        "marks": [Mark(1.0, "deploy", HOSTILE)],
        "history": [point(0), point(1)],
        "health": {"last_error": HOSTILE, "failures": 1},
        "notes": [HOSTILE],
    }  # fmt: skip


def test_hostile_names_stay_in_the_data(page, tmp_path):
    report = HtmlReport(**hostile_inputs())
    check(report.document())
    report.write(tmp_path / "report.html", page)
    parsed = read_report(tmp_path / "report.html")  # two scripts, whatever the names contain
    check(parsed.data)
    assert "</script><!--<script>&" in parsed.data["suspects"][0]["holder"]
    raw = (tmp_path / "report.html").read_bytes()
    data = raw[raw.index(b"memlens-data") : raw.index(b"</script>", raw.index(b"memlens-data"))]
    assert not set(data.partition(b">")[2]) & set(b"<>&\xe2\x80\xa8")
    assert data.isascii()


def test_lone_surrogates_and_controls_can_be_shown():
    document = HtmlReport(**hostile_inputs()).document()
    text = json.dumps(document, ensure_ascii=False)
    text.encode("utf-8")  # a lone surrogate could not be encoded
    assert "\\\\ud800" in text
    assert "\\\\x00" in text


# -- the budget --------------------------------------------------------------------------------------


def test_names_of_any_length_stay_within_the_budget():
    planter = Planter()
    table = planter.node("dict", 100)
    for number in range(3000):
        element = planter.node(f"Type{number}" + "n" * 1500, 500)
        planter.edge(table, element, name=f"attribute{number}" + "x" * 1500)
    planter.root(table, name="m" * 5000)
    frames = [Frame(f"f{n}" + "y" * 3000, f"/srv/{n}" + "z" * 3000, n) for n in range(3000)]
    inputs = Inputs(
        snapshots=[planter.snapshot()],
        allocations=profile_of([([frame], 10 + n, 10) for n, frame in enumerate(frames)]),
    )
    whole = len(json.dumps(document_of(inputs)))
    for most in (5_000_000, 1_500_000, 400_000):
        text = document_text(inputs, most)
        assert len(text) <= most
        check(json.loads(text))
    assert whole > 1_500_000  # so that something had to be left out


def test_halved_limits_lower_every_count():
    halved = Limits().halved()
    assert (halved.nodes, halved.rows, halved.text) == (10_000, 500, 150)


def test_omitted_rows_are_accounted_for():
    planter = Planter()
    table = planter.node("dict", 100)
    for number in range(1200):
        planter.edge(table, planter.node(f"Type{number}", 10), name="x")
    planter.root(table, name="app")
    document = HtmlReport(snapshots=[planter.snapshot()]).document()
    check(document)
    types = next(one for one in document["tables"] if one["key"] == "types")
    assert len(types["rows"]) == 1000
    assert types["omitted"] == {"rows": 201, "text": "201 more types with 1.96 KiB"}


def test_a_report_is_at_most_five_megabytes():
    assert MAX_REPORT_BYTES == 5_000_000


# -- at the door -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"snapshots": ["heap.memlens"]}, "snapshots must be a HeapSnapshot; got 'heap.memlens'"),
        ({"snapshots": [None]}, "snapshots must be HeapSnapshots; got None"),
        ({"leaks": []}, r"leaks must be a LeakReport; got \[\]"),
        ({"allocations": 5}, "allocations must be a AllocationProfile; got 5"),
        ({"earlier_profiles": [5]}, "earlier_profiles must be a AllocationProfile; got 5"),
        ({"source": "yes"}, "source must be True or False; got 'yes'"),
    ],
)
def test_wrong_values_are_refused(options, message):
    with pytest.raises(OptionError, match=message):
        HtmlReport(**options)


def test_snapshots_of_several_processes_are_refused():
    planter = Planter()
    planter.root(planter.node("dict"), name="app")
    with pytest.raises(ComparisonError):
        HtmlReport(snapshots=[planter.snapshot(process="a"), planter.snapshot(process="b")])


# -- the values' own methods ------------------------------------------------------------------------


def test_values_write_themselves(installed_page, tmp_path):
    snapshot = growing_snapshots(1)[0]
    profile = profile_of([([Frame("f", __file__, 5)], 10, 10)])
    report = leaks(suspect(sites=(site(__file__, 20),)))
    for value in (snapshot, profile, report):
        path = tmp_path / "own.html"
        assert value.to_html(path) == path.stat().st_size
        check(read_report(path).data)
        same = tmp_path / "exported.html"
        assert memlens.export(value, same) == same.stat().st_size
    profile.to_html(path, source=True)
    assert read_report(path).data["lines"][0]["rows"][2] == [
        5,
        10,
        10,
        Path(__file__).read_text().split("\n")[4],
    ]
    report.to_html(path, source=True)
    (source,) = read_report(path).data["suspects"][0]["source"]
    assert (source["line"], source["first_line"], len(source["lines"])) == (20, 16, 9)


def test_a_path_that_is_none_is_refused_before_the_analysis():
    with pytest.raises(OptionError, match="a path must be a str or a path object, not int"):
        growing_snapshots(1)[0].to_html(5)


def test_a_real_heap_has_a_document(tmp_path):
    snapshot = memlens.take_heap_snapshot(tmp_path / "heap.memlens")
    document = HtmlReport(snapshots=[snapshot], breakdown=memlens.breakdown()).document()
    check(document)
    assert document["process"]["pid"] == os.getpid()
    assert len(document["treemap"]["parent"]) > 1000
    assert {"types", "modules", "largest", "duplicates"} <= {
        one["key"] for one in document["tables"]
    }


def test_unknown_parts_of_the_breakdown_are_left_out_and_named():
    known = breakdown()
    unknown = replace(known, stacks=MemoryPart("stacks", None, "this platform does not say"))
    document = document_of(Inputs(breakdown=unknown))
    check(document)
    assert "stacks" not in [part["label"] for part in document["breakdown"]["parts"]]
    assert "Breakdown: stacks is not known: this platform does not say." in document["missing"]
    nothing = replace(known, rss=MemoryPart("resident (RSS)", None, "no /proc"))
    assert document_of(Inputs(breakdown=nothing))["breakdown"] is None


def test_several_profiles_share_the_budget_and_have_flames_of_their_own():
    rows = [([Frame(f"f{n}", "f.py", n)], 10, 10) for n in range(100)]
    first, last = profile_of(rows), profile_of(rows[:50])
    limits = replace(Limits(), nodes=60)
    document = document_of(Inputs(allocations=last, earlier_profiles=[first]), limits)
    check(document)
    assert [flame["key"] for flame in document["flames"]] == ["live-1", "live-2"]
    assert [len(flame["parent"]) for flame in document["flames"]] == [30, 30]
    assert "profile since 1970-01-01 00:16:40 UTC" in document["flames"][0]["label"]
