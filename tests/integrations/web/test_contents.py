"""What the endpoints show of a real profiler and a real heap."""

from __future__ import annotations

import gzip
import os
import sys
import tempfile

import pytest

import memlens
from memlens import _core
from memlens._core.sampler_api import why_unavailable
from memlens.heap.snapshot import HeapSnapshot
from memlens.integrations.web import child, contents
from memlens.integrations.web.endpoints import Endpoints
from memlens.integrations.web.guard import Turn
from memlens.integrations.web.stopping import Stopper, WorkStoppedError
from tests.integrations.web.clients import BEARER, TOKEN, ASGIClient, WSGIClient
from tests.leaks.test_suspects import leaking_dict, series

pytestmark = pytest.mark.small_process

FORKS = _core.fork_capture is not None and sys.platform == "linux"


class Hidden:
    """Holds a text that is user data."""

    def __init__(self):
        self.text = "card " + "4111" * 4


@pytest.fixture
def profiler(tmp_path, monkeypatch):
    """A profiler whose snapshots are small planted heaps with a leak."""
    snapshots = iter(series(leaking_dict, rounds=4, pid=os.getpid()))

    def take(path, *, reason, facts):
        snapshot = next(snapshots)
        snapshot.facts.update(facts, reason=reason)
        snapshot.save(path)
        return snapshot

    monkeypatch.setattr("memlens.profiler.snapshot_store.take_heap_snapshot", take)
    found = memlens.MemoryProfiler(tmp_path / "profiles", allocation_interval_bytes=1024)
    found.start()
    found.take_snapshot()
    found.take_snapshot()
    yield found
    found.stop()


def client_of(profiler=None, kind=WSGIClient, **options):
    return kind(Endpoints(profiler, token=TOKEN, turn=Turn(), **options))


@pytest.fixture(scope="module")
def temporary(tmp_path_factory):
    """Temporary files are in a folder of their own, which must be empty in the end."""
    folder = tmp_path_factory.mktemp("temporary")
    before, tempfile.tempdir = tempfile.tempdir, str(folder)
    yield folder
    tempfile.tempdir = before
    assert os.listdir(folder) == []


def saved(answer, path):
    path.write_bytes(answer.content)
    return memlens.load(path)


@pytest.mark.parametrize("kind", [WSGIClient, ASGIClient])
def test_a_snapshot_is_taken_without_a_profiler_and_without_values(kind, tmp_path, temporary):
    hidden = Hidden()
    answer = client_of(kind=kind).get("/heap-snapshot")
    assert answer.status == 200, answer.text
    assert hidden.text.encode() not in answer.content
    disposition = answer.headers["Content-Disposition"]
    assert disposition.startswith('attachment; filename="heap-snapshot-')
    assert disposition.endswith(f'-{os.getpid()}.memlens"')
    snapshot = saved(answer, tmp_path / "one.memlens")
    assert isinstance(snapshot, HeapSnapshot)
    assert (snapshot.pid, snapshot.reason) == (os.getpid(), "request")
    assert len(snapshot.select(f"{Hidden.__module__}.Hidden")) == 1
    assert snapshot.facts["memory"]["rss_bytes"] > 0
    assert snapshot.facts["mode"] == ("fork" if FORKS else "inline")


def test_with_values_a_snapshot_has_them(temporary):
    hidden = Hidden()
    answer = client_of(values=True).get("/heap-snapshot")
    assert hidden.text.encode() in answer.content


def test_with_hashed_names_a_name_made_from_data_is_not_in_it(temporary):
    made = type("User" + "Ada", (), {})()
    answer = client_of(names="hashed").get("/heap-snapshot")
    assert answer.status == 200
    assert type(made).__name__.encode() not in answer.content


def test_a_snapshot_for_devtools(tmp_path, temporary, monkeypatch):
    kept = series(leaking_dict, rounds=1)[0]
    monkeypatch.setattr(contents, "_capture", lambda source, stopper, path: kept.save(path))
    answer = client_of().get("/heap-snapshot", query="format=heapsnapshot")
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Content-Disposition"].endswith('.heapsnapshot"')
    assert saved(answer, tmp_path / "one.heapsnapshot").object_count > 0


def test_memory_is_the_report_as_a_page_and_as_json(profiler, temporary):
    client = client_of(profiler)
    page = client.get("/memory", headers={**BEARER, "Accept": "text/html"})
    assert page.content.startswith(b"<!DOCTYPE html>")
    assert b"app.sessions" in page.content
    assert "script-src 'sha256-" in page.headers["Content-Security-Policy"]
    report = client.get("/memory", query="format=json").json
    assert report["pid"] == os.getpid()
    assert report["leaks"]["suspects"][0]["holder"] == "app.sessions"
    assert len(report["snapshots"]) == 3


def test_leaks_are_the_same_as_a_text_a_page_and_json(profiler, temporary):
    client = client_of(lambda: profiler)
    answer = client.get("/leaks")
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert answer.text == f"{profiler.report().leaks}\n"
    assert b"app.sessions" in client.get("/leaks", query="format=html").content
    leaks = client.get("/leaks", query="format=json").json["leaks"]
    assert leaks["suspects"][0]["holder"] == "app.sessions"


def test_what_is_to_be_ignored_is_ignored(profiler, temporary):
    profiler.ignore = (r"app\.sessions",)
    leaks = client_of(profiler).get("/leaks", query="format=json").json["leaks"]
    assert leaks["suspects"] == []


def test_a_snapshot_that_was_deleted_meanwhile_is_left_out(profiler, temporary):
    os.unlink(profiler.snapshots[0].path)
    leaks = client_of(profiler).get("/leaks", query="format=json").json["leaks"]
    assert leaks["snapshot_count"] == 2


def test_of_one_snapshot_the_leaks_are_unknown(profiler, temporary):
    for record in profiler.snapshots[1:]:
        os.unlink(record.path)
    client = client_of(profiler)
    assert "fewer than two snapshots" in client.get("/leaks").text
    assert client.get("/leaks", query="format=json").json["leaks"] is None
    assert client.get("/memory", query="format=json").json["leaks"] is None


@pytest.mark.skipif(why_unavailable() is not None, reason="no sampler")
def test_allocations_in_every_format(profiler, tmp_path, temporary):
    kept = [bytearray(5000) for _ in range(50)]
    client = client_of(profiler)
    assert b"inuse_space" in gzip.decompress(client.get("/allocations").content)
    assert (
        "test_allocations_in_every_format" in client.get("/allocations", query="format=folded").text
    )
    answer = client.get("/allocations", query="format=json")
    assert saved(answer, tmp_path / "profile.json").total.live_count > 0
    assert client.get("/allocations", query="format=html").content.startswith(b"<!DOCTYPE html>")
    assert kept


def test_a_copy_of_the_profile_is_given_during_another_answer(profiler, temporary):
    client = client_of(profiler)
    assert client.endpoints._turn.take()
    assert client.get("/memory").status == 409
    assert client.get("/allocations", query="format=html").status == 409
    assert client.get("/allocations", query="format=folded").status in (200, 503)


@pytest.mark.parametrize("path", ["/memory", "/allocations", "/leaks"])
@pytest.mark.parametrize("profiler", [None, lambda: None])
def test_without_a_profiler_the_others_say_what_is_missing(path, profiler):
    answer = client_of(profiler).get(path)
    assert answer.status == 503
    assert "There is no MemoryProfiler here: pass one" in answer.text


def test_without_a_profile_of_allocations_the_reason_is_told(tmp_path, temporary):
    profiler = memlens.MemoryProfiler(tmp_path, allocations=None)
    answer = client_of(profiler).get("/allocations")
    assert (answer.status, "not requested" in answer.text) == (503, True)


def test_a_process_that_fails_is_reported_with_its_reason(tmp_path):
    (tmp_path / "other").write_text("no snapshot")
    with (
        open(tmp_path / "other", "rb") as other,
        pytest.raises(memlens.MemlensError, match=r"could not be made: .*not a memlens snapshot"),
    ):
        number = other.fileno()
        child.make_file(
            Stopper(), "heapsnapshot", number, (), str(tmp_path / "x"), descriptors=[number]
        )


def test_a_process_is_killed_when_the_client_leaves(tmp_path, monkeypatch):
    monkeypatch.setattr(child, "_PROGRAM", "import time; time.sleep(600)")
    stopper = Stopper()
    real = stopper.stopped_by

    def stopped_by(kill):
        stopping = real(kill)

        class Leaving:
            def __enter__(self):
                stopping.__enter__()
                stopper.stop()

            def __exit__(self, *error):
                return stopping.__exit__(*error)

        return Leaving()

    stopper.stopped_by = stopped_by
    with pytest.raises(WorkStoppedError):
        child.make_file(stopper, "heapsnapshot", 0, (), str(tmp_path / "x"))


def test_where_no_python_can_be_started_this_process_makes_the_report(
    profiler, temporary, monkeypatch
):
    monkeypatch.setattr(child.sys, "executable", "/usr/bin/uwsgi")
    assert b"app.sessions" in client_of(profiler).get("/leaks", query="format=html").content


@pytest.mark.skipif(not FORKS, reason="captures are made in the process itself")
def test_a_capture_is_killed_when_the_client_leaves(tmp_path):
    stopper = Stopper()
    stopper.stop()
    source = contents.Source(lambda: None, False, "plain")
    with pytest.raises(WorkStoppedError):
        contents._capture(source, stopper, str(tmp_path / "one.memlens"))
    assert os.listdir(tmp_path) == []
