"""`MemoryProfiler` in real servers names what leaks there, and accuses no healthy one.

Each service is started as people start it, with the default options made faster, and driven with
requests over several intervals of snapshots. The healthy form does the same work and keeps a bounded
number of its objects.
"""

import re
import time

import pytest

from tests.services.service import CeleryService, HttpService, LineService

pytestmark = pytest.mark.services

GUNICORN = ("gunicorn", "-w", "1", "-b", "127.0.0.1:{port}")
UVICORN = ("uvicorn", "fastapi_app:app", "--port", "{port}", "--log-level", "warning")
POST_FORK = (*GUNICORN, "-c", "gunicorn_post_fork.py")
PRELOAD = (*GUNICORN, "-c", "gunicorn_preload.py")
CELERY = ("celery", "-A", "celery_app", "worker", "-c", "1", "-P", "prefork", "-l", "INFO")
CELERY = (*CELERY, "--without-gossip", "--without-mingle", "--without-heartbeat")

# name: (class, command, what is requested, what the holder must match, a growing type)
CASES = {
    "fastapi, sessions by token": (
        (HttpService, UVICORN, "sessions/{number}"),
        (r"\bSESSIONS\b", "Record"),
    ),
    "fastapi, a list in a middleware": (
        (HttpService, UVICORN, "audited"),
        (r"\bseen\b", "Record"),
    ),
    "fastapi, tasks that never end": (
        (HttpService, UVICORN, "tasks/{number}"),
        (r"\bwaiting\b|\banswer\(\)", "Record|Task|Event"),
    ),
    "flask, receivers of a signal": (
        (HttpService, (*POST_FORK, "flask_app:app"), "listeners/{number}"),
        (r"finished\.", "Listener|Record|method"),
    ),
    "flask, memoized by request, preloaded": (
        (HttpService, (*PRELOAD, "flask_app:app"), "memo/{number}"),
        (r"\bmemo\b", "Record"),
    ),
    "django, objects kept by a class": (
        (HttpService, (*POST_FORK, "django_app:application"), "baskets/{number}"),
        (r"Basket\.by_number", "Record"),
    ),
    "django, receivers of a signal": (
        (HttpService, (*PRELOAD, "django_app:application"), "receivers/{number}"),
        (r"setting_changed\.receivers", "Record|function|receive"),
    ),
    "celery, a list of what was done": (
        (CeleryService, CELERY, "work"),
        (r"\bprocessed\b", "Record"),
    ),
    "asyncio, the history of a connection": (
        (LineService, ("asyncio_app", "{port}"), "history/{number}"),
        (r"\bhistory\b", "Record"),
    ),
    "asyncio, a queue that nobody empties": (
        (LineService, ("asyncio_app", "{port}"), "outbox/{number}"),
        (r"\boutbox\b", "Record"),
    ),
}
SECONDS = 9.0  # six intervals between snapshots
REQUESTS_A_SECOND = 80


def report_after_load(case, folder, is_healthy):
    """Return the report of a service that has worked for `SECONDS`."""
    kind, command, path = case
    with kind(command, folder, is_healthy) as service:
        service.wait()
        start = time.monotonic()
        number = 0
        while (passed := time.monotonic() - start) < SECONDS:
            if number < passed * REQUESTS_A_SECOND:
                service.request(path, number)
                number += 1
            else:
                time.sleep(0.002)  # the pace of the load
        report = service.report()
        assert number > SECONDS * REQUESTS_A_SECOND / 4, f"only {number} requests"
        assert len(report["snapshots"]) >= 4, service.output()
    return report


def shown(suspect):
    return f"{suspect['holder']} [{suspect['pattern']}: {', '.join(suspect['growing_types'])}]"


@pytest.mark.parametrize("name", CASES)
def test_what_leaks_is_named(name, tmp_path):
    case, (holder, kind) = CASES[name]
    suspects = report_after_load(case, tmp_path, is_healthy=False)["leaks"]["suspects"]
    assert suspects, "nothing was found"
    first = suspects[0]
    assert re.search(holder, first["holder"] + " " + first["path"]["text"]), shown(first)
    assert any(re.search(rf"\b({kind})\b", name) for name in first["growing_types"]), shown(first)


@pytest.mark.parametrize("name", CASES)
def test_a_healthy_service_is_not_accused(name, tmp_path):
    case, _ = CASES[name]
    suspects = report_after_load(case, tmp_path, is_healthy=True)["leaks"]["suspects"]
    assert [shown(suspect) for suspect in suspects] == []
