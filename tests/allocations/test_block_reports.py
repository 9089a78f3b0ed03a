"""Destinations of reports, options, and the text of results."""

import io
import json
import logging
import os
import pickle
import subprocess
import sys

import pytest

from memlens import decorators
from memlens._frame import Frame
from memlens.allocations.blocks.result import BlockResult
from memlens.decorators import memory_block, profile_memory
from memlens.errors import OptionError, TracingError
from tests.allocations.measured import MIB, near


def test_decorated_function_prints_its_report_to_stderr(capsys):
    @profile_memory
    def load():
        return bytearray(MIB)

    load()
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == f"{load.last_result}\n"
    assert "load: +1.00 MiB kept" in printed.err


def test_memory_block_prints_nothing(capsys):
    with memory_block():
        pass
    assert capsys.readouterr() == ("", "")


def test_report_goes_to_a_function_stream_or_logger(caplog):
    results, stream = [], io.StringIO()
    with memory_block("100 %s", report=results.append) as block:
        pass
    assert results == [block.result]
    with memory_block("100 %s", report=stream) as block:
        pass
    assert stream.getvalue() == f"{block.result}\n"
    with (
        caplog.at_level(logging.INFO, "app"),
        memory_block("100 %s", report=logging.getLogger("app")) as block,
    ):
        pass
    assert [(r.name, r.getMessage()) for r in caplog.records] == [("app", str(block.result))]


def test_missing_stderr_is_no_error(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    assert profile_memory(lambda: 5)() == 5


def test_failing_report_is_logged_and_does_not_reach_the_program(caplog):
    @profile_memory(report=lambda result: 1 / 0)
    def load():
        return 5

    assert load() == 5
    assert load.last_result is not None
    assert "the report of" in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_one_memory_block_can_decorate_several_functions():
    block = memory_block("shared")
    first, second = block(lambda: bytearray(MIB)), block(lambda: None)
    data = first()
    second()
    assert first.last_result.allocated_bytes == near(len(data))
    assert second.last_result.allocated_bytes == near(0)
    assert first.last_result.name == second.last_result.name == "shared"


def test_result_before_the_end_is_a_tracing_error():
    block = memory_block("later")
    with pytest.raises(TracingError, match="'later' has no result yet"):
        _ = block.result


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"limit": -1}, "limit must be a whole number, 0 or more"),
        ({"frames": 0}, "frames must be a whole number, 1 to 65535"),
        ({"collect": 1}, "collect must be True or False"),
        ({"report": 5}, "report must be a function"),
        ({"report": "stdout"}, "report must be a function"),
        ({"name": 5}, "name must be a string"),
    ],
)
def test_bad_options_are_option_errors(options, message):
    with pytest.raises(OptionError, match=message):
        memory_block(**options)
    with pytest.raises(OptionError, match=message):
        profile_memory(**options)


def test_result_has_text_of_at_most_100_columns_and_plain_values():
    with memory_block("long name " * 30) as block:
        kept = bytearray(MIB)
    result = block.result
    lines = str(result).splitlines()
    assert all(len(line) <= 100 for line in lines)
    assert "+1.00 MiB kept, 1.00 MiB at the peak, in " in lines[0]
    assert lines[1].split() == ["growth", "new", "blocks", "where"]
    assert __file__[-40:] in lines[2]
    plain = result.to_dict()
    assert plain["allocated_bytes"] == result.allocated_bytes
    assert plain["lines"][0]["difference_bytes"] == result.lines[0].difference_bytes
    assert set(plain) == {*BlockResult._fields, "notes"}
    assert pickle.loads(pickle.dumps(result)) == result
    with pytest.raises(AttributeError):
        result.name = "other"
    assert len(kept) == MIB


def test_importing_the_decorators_loads_no_heavy_modules():
    # A stand-in for the root package, so that its own imports do not count.
    heavy = ["inspect", "asyncio", "tracemalloc", "pickle", "hashlib", "ctypes", "logging"]
    script = f"""
import sys, types
package = types.ModuleType("memlens")
package.__path__ = [{os.path.dirname(decorators.__file__)!r}]
sys.modules["memlens"] = package
before = set(sys.modules)
import memlens.decorators
print([name for name in {heavy} if name in set(sys.modules) - before])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_of_what_a_library_allocates_the_programs_line_is_shown():
    text = json.dumps([str(number) * 20 for number in range(2000)])
    with memory_block("parse") as block:
        kept = json.loads(text)
        line = sys._getframe().f_lineno - 1
    assert len(kept) == 2000
    (row, *_) = block.result.lines
    assert row.frame.file == json.decoder.__file__
    assert row.call_path[0] == Frame(None, __file__, line)
    assert "  from " in str(block.result)
    assert f"{os.path.basename(__file__)}:{line}" in str(block.result)


def test_one_frame_shows_the_line_of_the_library_alone():
    text = json.dumps([str(number) * 20 for number in range(2000)])
    with memory_block("parse", frames=1) as block:
        kept = json.loads(text)
    assert len(kept) == 2000
    assert block.result.lines[0].call_path == (block.result.lines[0].frame,)


def test_lines_of_one_library_that_several_lines_call_are_kept_apart():
    text = json.dumps([str(number) * 20 for number in range(2000)])
    with memory_block("parse") as block:
        first = json.loads(text)
        second = json.loads(text)
    assert len(first) == len(second)
    callers = {row.call_path[0].line for row in block.result.lines[:2]}
    assert len(callers) == 2
