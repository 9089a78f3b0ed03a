"""``no_leaks`` and ``limit_leaked_objects``: what fails, what does not, and what is said."""

from __future__ import annotations

import re

import pytest

from memlens._core import IMPLEMENTATION
from memlens._core.sampler_api import why_unavailable
from tests.integrations.inner_runs import only_on_c

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.small_process
has_sampler = why_unavailable() is None

LEAKS = """
import pytest
KEPT, BY_NAME = [], {}

class Session:
    kept = []
    def __init__(self):
        self.values = [1]

class TestClass:
    @pytest.mark.no_leaks
    def test_method(self):
        Session.kept.append(Session())
"""
LEAKY = {
    "list": "KEPT.append(Session())",
    "dict": "BY_NAME[len(BY_NAME)] = Session()",
    "numbers": "KEPT.append(1)",
    "big": "KEPT.append(bytes(200_000))",
}
HEALTHY = """
import functools, gc, logging, re, sys, warnings, weakref
from collections import deque
import pytest

RECENT, WEAK, CONSTANT = deque(maxlen=4), weakref.WeakSet(), {}

class Session:
    pass

@functools.lru_cache(maxsize=None)
def cached(key):
    return [key]

@functools.lru_cache(maxsize=64)
def bounded(key):
    return [key]

@pytest.fixture
def own():
    warnings.warn("set up", UserWarning)
    yield []
    warnings.warn("torn down", UserWarning)

class TestClass:
    def setup_method(self):
        self.values = []

    @pytest.mark.no_leaks
    def test_method(self):
        assert self.values == [] and not hasattr(self, "was_here")
        self.was_here = True
        self.values.append(Session())

@pytest.mark.no_leaks
@pytest.mark.filterwarnings("default")
def test_records(tmp_path, caplog, capsys, record_property, monkeypatch, own):
    (tmp_path / "new").mkdir()
    logging.getLogger("app").warning("%s", Session())
    print("shown" * 100)
    record_property("name", "x" * 100)
    warnings.warn("old", UserWarning)
    monkeypatch.setenv("NAME", "value")
    own.append(Session())
    assert len(own) == len(caplog.records) == 1
    assert capsys.readouterr().out == "shown" * 100 + "\\n"

@pytest.mark.no_leaks
def test_what_only_pytest_holds(request):
    vars(request.config).setdefault("kept_by_pytest", []).append(Session())

@pytest.mark.no_leaks
def test_caches():
    for key in range(50):
        cached(key)
        sys.intern(f"name {key}")
        re.compile(f"pattern {key}")
        CONSTANT[key] = Session()
    for _ in range(10):
        bounded(object())
    session = Session()
    session.cycle = session
    WEAK.add(session)
    RECENT.append(Session())

    import colorsys, fractions, json.tool
    fractions.Fraction(1, 3)
"""


def leaking_tests(names):
    marker = "@pytest.mark.no_leaks\n"
    return LEAKS + "".join(f"{marker}def test_{name}():\n    {LEAKY[name]}\n" for name in names)


def test_leaks_fail_with_the_holder_its_path_and_the_line(run):
    is_c = IMPLEMENTATION == "C"
    names = LEAKY if is_c else ["list"]
    inner = run(leaking_tests(names), *([] if is_c else ["-k", "test_list"]))
    for name in names:
        assert inner.outcome(f"test_{name}") == "failed", name
    text = inner.text("test_list")
    assert text.startswith("test_it.KEPT grows: +20 elements")
    assert re.search("held by +test_it.KEPT\n", text)
    assert "over 20 calls of the test, after 5 to warm up" in text
    line = leaking_tests(names).strip().split("\n").index("    KEPT.append(Session())") + 1
    assert (f"test_it.py:{line})" in text) is has_sampler
    assert "_pytest" not in text
    if is_c:
        assert inner.outcome("TestClass::test_method") == "failed"
    (suspect,) = inner.values("test_list")["suspects"]
    assert suspect["holder"] == "test_it.KEPT"
    assert suspect["status"] is None


def test_what_warms_up_and_what_pytest_records_is_no_leak(run):
    if IMPLEMENTATION == "C":
        run(HEALTHY).result.assert_outcomes(passed=4, warnings=3)
    else:
        run(HEALTHY, "-k", "test_records").result.assert_outcomes(
            passed=1, warnings=3, deselected=3
        )


def test_each_call_has_fixtures_and_an_instance_of_its_own(run):
    inner = run("""
        import unittest
        import pytest
        LOG = []
        @pytest.fixture(scope="module")
        def wide():
            LOG.append("wide")
            return []
        @pytest.fixture
        def own(wide):
            LOG.append("set up")
            yield []
            LOG.append("torn down")
        @pytest.mark.limit_leaked_objects(0, rounds=2, warmup=1)
        def test_calls(own):
            own.append(1)
            assert own == [1]
            LOG.append("called")
        def test_log():
            assert LOG == ["wide", *["set up", "called", "torn down"] * 3]
        class Case(unittest.TestCase):
            def setUp(self):
                self.values = []
            @pytest.mark.limit_leaked_objects(0, rounds=2, warmup=1)
            def test_case(self):
                self.values.append(1)
                self.assertEqual(self.values, [1])
                LOG.append("case")
        def test_cases():
            assert LOG[-3:] == ["case"] * 3
    """)
    inner.result.assert_outcomes(passed=4)


def test_a_test_that_fails_by_itself_shows_its_own_failure(run):
    inner = run("""
        import unittest
        import pytest
        KEPT, CALLS = [], []
        pytestmark = pytest.mark.no_leaks
        def test_fails_at_once():
            KEPT.append(object())
            assert KEPT == "own"
        def test_fails_later():
            CALLS.append(1)
            print(f"call {len(CALLS)}")
            assert len(CALLS) < 3, "third call"
        def test_skips():
            pytest.skip("not here")
        @pytest.fixture
        def broken():
            yield
            raise OSError("of the fixture")
        def test_broken_fixture(broken):
            pass
        class Case(unittest.TestCase):
            def test_case(self):
                KEPT.append(object())
                self.fail("own")
            def test_skips(self):
                self.skipTest("not here")
    """)
    assert "assert [<object" in inner.text("test_fails_at_once")
    assert "third call" in inner.text("test_fails_later")
    assert (
        dict(inner.reports["test_fails_later", "call"].sections)["Captured stdout call"]
        == "call 3\n"
    )
    assert inner.outcome("test_skips") == inner.outcome("Case::test_skips") == "skipped"
    assert "of the fixture" in inner.text("test_broken_fixture")
    assert "AssertionError: own" in inner.text("Case::test_case")
    assert len(inner.reports) == 18


def test_objects_that_each_call_leaves_behind_are_counted_by_type(run):
    inner = run("""
        import pytest
        KEPT, ONCE = {}, []
        class Session: pass
        class Request: pass
        def leave(count):
            for _ in range(count):
                KEPT[object()] = Session()
            ONCE[:] = [Session()]  # replaced by each call
            if len(KEPT) == 10:
                KEPT[object()] = Request()  # not by each call
        @pytest.mark.limit_leaked_objects(1, rounds=2, warmup=1)
        def test_above(): leave(2)
        @pytest.mark.limit_leaked_objects({Session: 1, "Request": 0, "object": 2}, rounds=2)
        def test_by_type(): leave(2)
        @pytest.mark.limit_leaked_objects(2, rounds=2, warmup=1)
        def test_at_the_limit(): leave(2)
    """)
    text = inner.text("test_above")
    assert text.startswith(
        "each call leaves 2 objects behind, the limit is 1\n  test_it.Session: 2 a"
    )
    assert "held by       test_it.KEPT[" in text
    assert ("allocated at  leave (" in text) is has_sampler
    assert inner.outcome("test_at_the_limit") == "passed"
    assert "test_it.Session: 2 a call, the limit is 1" in inner.text("test_by_type")
    assert "object:" not in inner.text("test_by_type")
    assert "Request" not in inner.text("test_by_type")


@only_on_c
def test_a_fixture_of_a_wider_scope_is_named(run):
    inner = run("""
        import pytest
        class Session: pass
        @pytest.fixture(scope="module")
        def wide():
            return []
        @pytest.mark.no_leaks
        def test_fills(wide):
            wide.append(Session())
        @pytest.mark.no_leaks(ignore=["^fixture wide "])
        def test_ignored(wide):
            wide.append(Session())
    """)
    assert inner.text("test_fills").startswith("fixture wide (module) grows: +20 elements")
    assert inner.outcome("test_ignored") == "passed"


SEEDED_HEALTHY = """
import functools, itertools, logging, random, re, string, weakref
from collections import OrderedDict, deque
import pytest

class Session:
    pass

class Program:
    \"\"\"Caches of random kinds and sizes, all of which the warm-up fills or a bound limits.\"\"\"
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.keys = [self.random.randbytes(8) for _ in range(self.random.randint(1, 40))]
        self.known, self.lru = {}, OrderedDict()
        self.recent = deque(maxlen=self.random.randint(1, 30))
        self.ring, self.at = [None] * self.random.randint(1, 20), itertools.count()
        self.weak = weakref.WeakValueDictionary()
        self.cached = functools.lru_cache(maxsize=self.random.choice([None, 16, 128]))(list)
        self.pool = []
        self.uses = self.random.sample(
            ["warm", "lru", "recent", "ring", "weak", "cached", "pool", "text", "log"], 4)

    def warm(self):
        for key in self.keys:
            self.known.setdefault(key, Session())

    def lru_entry(self):
        self.lru[self.random.random()] = Session()
        while len(self.lru) > 8:
            self.lru.popitem(last=False)

USES = {
    "lru": lambda p: p.lru_entry(),
    "recent": lambda p: p.recent.append(Session()),
    "ring": lambda p: p.ring.__setitem__(next(p.at) % len(p.ring), Session()),
    "weak": lambda p: p.weak.__setitem__(p.random.random(), Session()),
    "cached": lambda p: [p.cached(key) for key in p.keys],
    "pool": lambda p: p.pool.append(p.pool.pop() if p.pool else Session()),
    "text": lambda p: re.compile("".join(p.random.sample(string.ascii_letters, 5))),
    "log": lambda p: logging.getLogger("app").warning("%s", p.random.random()),
    "warm": Program.warm,
}
PROGRAMS = {}

@pytest.mark.no_leaks
@pytest.mark.parametrize("seed", range(SEEDS))
def test_program(seed):
    program = PROGRAMS.setdefault(seed, Program(seed))
    for use in program.uses:
        for _ in range(program.random.randint(1, 20)):
            USES[use](program)
    LEAK
"""


@pytest.mark.slow
def test_programs_with_caches_never_fail_and_with_a_leak_always_do(run):
    seeds = 12 if IMPLEMENTATION == "C" else 4
    healthy = SEEDED_HEALTHY.replace("SEEDS", str(seeds))
    run(healthy.replace("LEAK", "pass")).result.assert_outcomes(passed=seeds)
    leaking = healthy.replace("LEAK", "program.keys.append(Session())  # never read again")
    run(leaking).result.assert_outcomes(failed=seeds)
