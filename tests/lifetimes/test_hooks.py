"""Hooks: closers, tasks, requests, sessions, unittest and pytest."""

import asyncio
import contextlib
import os
import subprocess
import sys
import textwrap
import types
import unittest
from pathlib import Path

import pytest

from memlens.errors import OptionError
from memlens.lifetimes import (
    ASGIRequests,
    Expectations,
    ExpectsCollected,
    RequestMark,
    django_requests,
    unwatch_closed,
    watch_closed,
    watch_sqlalchemy_sessions,
    watch_tasks,
)
from memlens.lifetimes.expectations import OF_PROCESS

pytestmark = pytest.mark.small_process
ROOT = Path(__file__).resolve().parent.parent.parent
KEPT = []


@pytest.fixture
def expected():
    yield Expectations()
    KEPT.clear()
    OF_PROCESS.clear()


class Connection:
    def __init__(self):
        self.is_open = True

    def close(self, code=0):
        self.is_open = False
        return code

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()


class Pooled(Connection):
    async def aclose(self):
        self.close()


@pytest.fixture
def watched(expected):
    watch_closed(Pooled, within=0, reason="connection closed", expectations=expected)
    yield expected
    unwatch_closed(Pooled)


def test_a_closed_object_that_is_kept_is_late(watched):
    KEPT.append(Pooled())
    assert not watched.overdue()
    assert KEPT[0].close(code=7) == 7
    assert not KEPT[0].is_open
    (suspect,) = watched.overdue()
    assert suspect.holder == f"{__name__}.KEPT"
    assert "connection closed" in suspect.evidence


def test_an_exit_that_closes_counts_once(watched):
    with Pooled() as connection:
        KEPT.append(connection)
    del connection
    assert [one.count_growth for one in watched.overdue()] == [1]


def test_an_asynchronous_closer_is_awaited_first(watched):
    async def main():
        KEPT.append(Pooled())
        await KEPT[0].aclose()
        assert not KEPT[0].is_open

    asyncio.run(main())
    assert len(watched.overdue()) == 1


def test_a_closer_that_fails_still_expects_and_raises(expected):
    class Broken:
        def close(self):
            raise OSError("gone")

    watch_closed(Broken, within=0, expectations=expected)
    KEPT.append(Broken())
    with pytest.raises(OSError, match="gone"):
        KEPT[0].close()
    assert len(expected) == 1


def test_unwatching_restores_the_methods(expected):
    before = dict(vars(Pooled))
    watch_closed(Pooled, expectations=expected)
    watch_closed(Pooled, expectations=expected)  # no wrapper around a wrapper
    assert vars(Pooled)["close"].__wrapped__ is Connection.close
    unwatch_closed(Pooled)
    assert dict(vars(Pooled)) == before


def test_a_widget_is_watched_by_the_method_that_destroys_it(expected):
    class Widget:
        def destroy(self):
            pass

    watch_closed(Widget, ["destroy"], within=0, expectations=expected)
    KEPT.append(Widget())
    KEPT[0].destroy()
    assert len(expected.overdue()) == 1


class Slotted:
    __slots__ = ()

    def close(self):
        pass


@pytest.mark.parametrize(
    ("value", "methods", "text"),
    [
        (Connection(), (), "takes a class"),
        (Connection, ("destroy",), "no method destroy"),
        (Connection, "close", "sequence of strings"),
        (int, (), "no method close"),
        (Slotted, (), "cannot be weakly referenced"),
        (type(i for i in ()), (), "cannot be replaced"),
    ],
)
def test_what_cannot_be_watched_is_refused(value, methods, text):
    with pytest.raises(OptionError, match=text):
        watch_closed(value, methods)


def test_a_task_that_is_done_and_kept_is_late(expected):
    async def main():
        restore = watch_tasks(within=0, expectations=expected)
        KEPT.append(asyncio.create_task(asyncio.sleep(0)))
        await KEPT[0]
        await asyncio.create_task(asyncio.sleep(0))
        await asyncio.sleep(0)
        (suspect,) = expected.overdue()
        assert suspect.holder == f"{__name__}.KEPT"
        restore()
        assert asyncio.get_running_loop().get_task_factory() is None

    asyncio.run(main())


def test_a_task_factory_of_the_program_is_kept(expected):
    made = []

    def factory(loop, coroutine, **options):
        made.append(coroutine.__name__)
        return asyncio.Task(coroutine, loop=loop, **options)

    async def main():
        loop = asyncio.get_running_loop()
        loop.set_task_factory(factory)
        restore = watch_tasks(loop, expectations=expected)
        await asyncio.create_task(asyncio.sleep(0), name="one")
        restore()
        assert loop.get_task_factory() is factory

    asyncio.run(main())
    assert made[0] == "sleep"


def test_a_request_whose_scope_is_kept_is_late(expected):
    async def app(scope, receive, send):
        if scope["path"] == "/kept":
            KEPT.append(scope)

    async def main():
        wrapped = ASGIRequests(app, within=0, expectations=expected)
        for path in ("/fine", "/kept"):
            await wrapped({"type": "http", "path": path}, None, None)
        await wrapped({"type": "lifespan", "path": "/kept"}, None, None)

    asyncio.run(main())
    (suspect,) = expected.overdue()
    assert suspect.count_growth == 1
    assert suspect.path.root == f"{__name__}"
    assert isinstance(KEPT[0]["memlens.request"], RequestMark)
    assert "memlens.request" not in KEPT[1]


def test_django_requests_are_expected_after_their_response(expected, monkeypatch):
    monkeypatch.setattr("memlens.lifetimes.requests.REQUEST_SECONDS", 0.0)

    class Request:
        pass

    answer = django_requests(lambda request: KEPT.append(request) or "response")
    assert answer(Request()) == "response"

    async def later(request):
        return "later"

    assert asyncio.run(django_requests(later)(Request())) == "later"
    assert django_requests.sync_capable
    assert django_requests.async_capable
    assert [one.count_growth for one in OF_PROCESS.overdue()] == [1]


def test_a_session_that_begins_again_is_not_late(expected, monkeypatch):
    listeners = {}

    class Session:
        def close(self):
            pass

    event = types.ModuleType("sqlalchemy.event")
    event.listen = lambda target, name, function: listeners.update({name: function})
    package, orm = types.ModuleType("sqlalchemy"), types.ModuleType("sqlalchemy.orm")
    package.event, orm.Session = event, Session
    for module in (package, orm, event):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    watch_sqlalchemy_sessions(within=0, expectations=expected)
    KEPT.extend([Session(), Session()])
    for session in KEPT:
        session.close()
    del session
    listeners["after_transaction_create"](KEPT[0], None)
    assert [one.count_growth for one in expected.overdue()] == [1]


def run_unittest(keep):
    class Case(ExpectsCollected, unittest.TestCase):
        def test_it(self):
            session = Connection()
            self.expect_collected(session)
            if keep:
                KEPT.append(session)

    result = unittest.TestResult()
    Case("test_it").run(result)
    return [text for _, text in [*result.failures, *result.errors]]


def test_a_unittest_fails_if_what_it_expects_is_kept(expected):
    assert run_unittest(keep=False) == []
    (text,) = run_unittest(keep=True)
    assert "KEPT keeps 1 overdue alive" in text


def test_the_fixture_fails_a_test_that_keeps_an_object(tmp_path):
    (tmp_path / "test_it.py").write_text(
        textwrap.dedent(
            """
            class Session: pass
            KEPT = []

            def test_fine(expect_collected):
                session = Session()
                expect_collected(session)

            def test_kept(expect_collected):
                session = Session()
                KEPT.append(session)
                expect_collected(session, "session closed")
            """
        )
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "memlens.lifetimes.pytest_plugin", "-q",
         "-p", "no:cacheprovider", "-W", "error", "test_it.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )  # fmt: skip
    assert "2 passed, 1 error" in done.stdout, done.stdout
    assert "test_it.KEPT keeps 1 overdue alive" in done.stdout


def test_contextlib_closing_is_served(watched):
    with contextlib.closing(Pooled()) as connection:
        KEPT.append(connection)
    del connection
    assert len(watched.overdue()) == 1


def test_importing_the_package_imports_no_framework():
    script = (
        "import sys, memlens.lifetimes as l; l.ASGIRequests; l.watch_tasks; l.ExpectsCollected\n"
    )
    script += "wrong = {'pytest', 'unittest', 'django', 'starlette', 'sqlalchemy', 'asyncio'}\n"
    script += "assert not wrong & set(sys.modules), wrong & set(sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
