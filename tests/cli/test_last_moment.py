"""A snapshot before the functions of a program return, where Python tells of it."""

import sys

import pytest

from memlens import _core
from memlens.cli.last_moment import last_moments
from tests.cli.test_main import run

needs_monitoring = pytest.mark.skipif(sys.version_info < (3, 12), reason="sys.monitoring")

LEAK = """
import time

def main():
    cache = {}
    for i in range(6000):
        cache[i] = [i, str(i), bytearray(300)]
        time.sleep(0.0005)

main()
"""


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def moments_of(source, seconds_a_call=1.0):
    """Run a module; return the local variables that were alive at each moment."""
    clock, seen = Clock(), []

    def take():
        frame = sys._getframe(2)  # of the function that returns
        seen.append((frame.f_code.co_name, dict(frame.f_locals)))

    def work():
        clock.now += seconds_a_call

    code = compile(source, "program.py", "exec")
    with last_moments(code, take, clock):
        exec(code, {"__name__": "__main__", "work": work})
    return seen


@needs_monitoring
def test_the_variables_of_main_are_alive_at_its_last_moment():
    ((name, variables),) = moments_of("def main():\n cache = [1]\n work()\nmain()")
    assert (name, variables) == ("main", {"cache": [1]})


@needs_monitoring
def test_what_other_functions_call_is_not_looked_at():
    source = "def inner():\n work()\ndef main():\n for _ in range(5): inner()\nmain()"
    assert [name for name, _ in moments_of(source)] == ["main"]


@needs_monitoring
def test_functions_called_in_a_loop_are_looked_at_now_and_then():
    source = "def step():\n work()\nfor _ in range(1000): step()"
    assert 1 < len(moments_of(source)) < 40


@needs_monitoring
def test_what_returns_at_once_is_not_looked_at():
    assert moments_of("def main():\n work()\nmain()", seconds_a_call=0.01) == []


@needs_monitoring
def test_coroutines_and_methods_are_looked_at():
    source = "import asyncio\nasync def main():\n pending = 1\n work()\nasyncio.run(main())"
    assert moments_of(source)[0] == ("main", {"pending": 1})
    source = "class App:\n def run(self):\n  jobs = 2\n  work()\nApp().run()"
    ((name, variables),) = moments_of(source)
    assert (name, variables["jobs"]) == ("run", 2)


@needs_monitoring
def test_all_tool_ids_are_free_again_and_none_is_taken_from_another():
    monitoring = sys.monitoring
    assert moments_of("def main():\n work()\nmain()")
    assert [monitoring.get_tool(tool) for tool in (3, 4)] == [None, None]
    for tool in (3, 4):
        monitoring.use_tool_id(tool, "another")
    try:
        assert moments_of("def main():\n work()\nmain()") == []
        assert [monitoring.get_tool(tool) for tool in (3, 4)] == ["another"] * 2
    finally:
        for tool in (3, 4):
            monitoring.free_tool_id(tool)


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="has sys.monitoring")
def test_without_monitoring_nothing_is_taken():
    assert moments_of("def main():\n work()\nmain()") == []


@pytest.mark.skipif(
    _core.fork_capture is None,
    reason="captures in the process take most of its time; in 3.11 they see no variables",
)
def test_a_leak_in_the_variables_of_main_is_named_by_run(tmp_path):
    (tmp_path / "leak.py").write_text(LEAK)
    done = run("run", "leak.py", cwd=tmp_path)
    assert "main() local 'cache' grows" in done.stderr
    has_return = any(line.endswith("  return") for line in done.stderr.splitlines())
    assert has_return == (sys.version_info >= (3, 12))
