"""Many processes on one host: real servers with workers, and what `memlens fleet` says of them."""

import subprocess
import sys
import threading
import time
from collections import Counter

import pytest

from memlens.fleet import read_fleet
from tests.services.service import CeleryService, HttpService

pytestmark = pytest.mark.services

SECONDS = 10.0
ROUNDS = 6
ROUND_SECONDS = 1.6  # a little more than the interval of the snapshots
MAX_ROUND_SECONDS = 30.0
MIN_ANSWERS = 5  # of each worker in a round
GUNICORN = ("gunicorn", "-b", "127.0.0.1:{port}", "-w", "4")
UVICORN = ("uvicorn", "fleet_app:asgi", "--port", "{port}", "--log-level", "warning")
# name: (command, when the profiler starts, kind of the workers, how many, further processes)
SERVERS = {
    "gunicorn, sync, at import": (
        (*GUNICORN, "fleet_app:application"), "import", "gunicorn worker", 4, 0,
    ),
    "gunicorn, sync, preloaded": (
        (*GUNICORN, "--preload", "fleet_app:application"), "import", "gunicorn worker", 4, 1,
    ),
    "gunicorn, sync, post_fork": (
        (*GUNICORN, "-c", "gunicorn_watch.py", "fleet_app:application"),
        "post_fork", "gunicorn worker", 4, 0,
    ),
    "gunicorn, gthread, post_fork, preloaded": (
        (*GUNICORN, "-k", "gthread", "--threads", "4", "--preload", "-c", "gunicorn_watch.py",
         "fleet_app:application"),
        "post_fork", "gunicorn worker", 4, 0,
    ),
    "gunicorn, uvicorn worker, at import": (
        (*GUNICORN, "-k", "uvicorn.workers.UvicornWorker", "fleet_app:asgi"),
        "import", "gunicorn worker", 4, 0,
    ),
    "uvicorn --workers": ((*UVICORN, "--workers", "4"), "import", "uvicorn worker", 4, 0),
}  # fmt: skip


def drive(service, worker_count):
    """Request both routes from several clients at once; return the workers that answered.

    In each round every worker answers a few times, so that what leaks grows in each interval.
    """
    answers = Counter()
    for _ in range(ROUNDS):
        start, this_round = time.monotonic(), Counter()

        def client(first, start=start, this_round=this_round):
            while (passed := time.monotonic() - start) < MAX_ROUND_SECONDS:
                few = [count for count in this_round.values() if count < MIN_ANSWERS]
                if passed > ROUND_SECONDS and len(this_round) == 2 * worker_count and not few:
                    return
                for route in ("every", "one"):
                    pid = service.get(f"{route}/{first}-{passed}")
                    this_round[route, pid] += 1
                time.sleep(0.02)  # the pace of the load

        clients = [threading.Thread(target=client, args=(first,)) for first in range(8)]
        for one in clients:
            one.start()
        for one in clients:
            one.join()
        answers += this_round
    return {pid for _, pid in answers}


def fleet_after_load(name, folder, is_healthy, monkeypatch):
    command, start, _, worker_count, _ = SERVERS[name]
    monkeypatch.setenv("START", start)
    with HttpService(command, folder, is_healthy) as service:
        service.wait()
        answers = drive(service, worker_count)
    report = read_fleet([folder / "profiles"])
    assert report.skipped == () or all("half written" in one.reason for one in report.skipped)
    return report, answers


@pytest.mark.parametrize("name", SERVERS)
def test_leaks_of_workers_are_grouped_with_their_counts(name, tmp_path, monkeypatch):
    report, answers = fleet_after_load(name, tmp_path, False, monkeypatch)
    _, _, kind, worker_count, further = SERVERS[name]
    assert len(answers) == worker_count, "not all workers got requests"
    kinds = Counter(process.identity.kind for process in report.processes)
    assert kinds[kind] == worker_count
    assert len(report.processes) == worker_count + further, report.text(all_processes=True)
    found = {group.suspect.holder: group for group in report.groups}
    assert set(found) == {"fleet_app.every_worker", "fleet_app.one_worker"}, str(report)
    every, one = found["fleet_app.every_worker"], found["fleet_app.one_worker"]
    assert set(every.pids) == answers, str(report)
    assert one.pids == (int((tmp_path / "claim").read_text()),)
    assert every.of_count == one.of_count == worker_count + further


@pytest.mark.parametrize("name", SERVERS)
def test_healthy_workers_are_not_accused(name, tmp_path, monkeypatch):
    report, _ = fleet_after_load(name, tmp_path, True, monkeypatch)
    count = len(report.processes)
    assert report.groups == ()
    assert str(report).splitlines()[0] == f"Fleet: no leak in {count} processes."
    shown = subprocess.run(
        [sys.executable, "-m", "memlens", "fleet", str(tmp_path / "profiles")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout.startswith(f"Fleet: no leak in {count} processes.\n")


CELERY = ("celery", "-A", "celery_app", "worker", "-c", "2", "-P", "prefork", "-l", "INFO")
CELERY = (*CELERY, "--without-gossip", "--without-mingle", "--without-heartbeat")


def test_workers_of_celery_have_reports_of_their_own(tmp_path):
    with CeleryService(CELERY, tmp_path, is_healthy=False) as service:
        service.wait()
        start, number = time.monotonic(), 0
        while (passed := time.monotonic() - start) < SECONDS:
            if number < passed * 80:
                service.request("work", number)
                number += 1
            else:
                time.sleep(0.002)  # the pace of the load
        service.report()
    report = read_fleet([tmp_path / "profiles"], reports=False)
    # The signal that ends the service ends the workers, too, which Celery may replace meanwhile.
    names = {process.identity.name for process in report.processes}
    assert names >= {"ForkPoolWorker-1", "ForkPoolWorker-2"}
    assert {process.identity.kind for process in report.processes} == {"celery worker"}
    assert [group.suspect.holder for group in report.groups] == ["celery_app.processed"]
