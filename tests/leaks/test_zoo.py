"""Many small leaks at once, and many healthy programs at once, each in a process of its own."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parent
CORES = ["1"] + (["0"] if importlib.util.find_spec("memlens._core._capture") else [])

# What leaks: a pattern for its holder, one of the growing types, and the pattern's name.
LEAKS = {
    "dict_cache": (r"^__main__\.cache$", "Request", "unbounded-cache"),
    "finished_tasks": (r"^__main__\.tasks$", "Task", "detached"),
    "finished_threads": (r"^__main__\.threads$", "Thread", "detached"),
    "kept_exceptions": (r"^__main__\.failures$", "ValueError", "exception-traceback"),
    "bytes_io": (r"^__main__\.audit$", "BytesIO", "unbounded-cache"),
    "grown_bytearray": (r"^__main__\.trail$", "bytearray", "unbounded-cache"),
    "grown_array": (r"^__main__\.samples$", "array", "unbounded-cache"),
    "closures": (r"^__main__\.hooks$", "function", "closure-capture"),
    "signal_receivers": (r"signal\.receivers$", "method", "listener-accumulation"),
    "weak_keys_pinned": (r"^__main__\.owners\.data$", "Child", "registry"),
    "many_small": (r"^__main__\.sessions\[\*\]\.history$", "Payload", "registry"),
    "remembered": (r"^__main__\.seen$", "str", "unbounded-cache"),
    "list_of_text": (r"^__main__\.lines$", "str", "unbounded-cache"),
    "method_cache": (r"^__main__\.Report\.total$", "Report", "unbounded-cache"),
    "subclasses": (r"^__main__\.Plugin\.registry$", "type", "registry"),
    "chain": (r"^__main__\.head\.state$", "Node", "chain"),
    "longer_text": (r"^__main__\.head\.text$", "str", "unbounded-cache"),
    "loggers": (r"\.loggerDict$", "Logger", "registry"),
    "finalizers": (r"finalize\._registry$", "_Info", "registry"),
    "at_exit": (r"^<interpreter: atexit>$", "function", "registry"),
    "at_fork": (r"^<list held by native code", "function", "native-holder"),
    "sources": (r"^linecache\.cache$", "tuple", "unbounded-cache"),
    "warned": (r"__warningregistry__$", "tuple", "unbounded-cache"),
    "modules": (r"sys\.modules", "module", "registry"),
    "context_variables": (r"^__main__\.context", "Payload", "registry"),
    "native": (r"holding __main__\.Request$", "Request", "native-holder"),
}


def run(name, core):
    done = subprocess.run(
        [sys.executable, str(FOLDER / name)],
        env={**os.environ, "PYTHONPATH": str(FOLDER.parent.parent), "MEMLENS_PURE": core},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module", params=CORES, ids=lambda core: "pure" if core == "1" else "native")
def suspects(request):
    return run("zoo.py", request.param)


@pytest.mark.parametrize("leak", LEAKS)
def test_each_kind_of_leak_is_found_with_holder_type_and_pattern(suspects, leak, request):
    holder, kind, pattern = LEAKS[leak]
    if leak == "at_exit" and not sees_atexit(request.node.callspec.params["suspects"]):
        holder, pattern = r"holding function$", "native-holder"
    found = [one for one in suspects if re.search(holder, one["holder"])]
    assert found, [one["holder"] for one in suspects]
    assert pattern in [one["pattern"] for one in found]
    assert any(name.endswith(kind) for one in found for name in one["growing_types"])
    assert all(one["suggestion"] for one in found)


def test_no_suspect_is_memlens_itself_or_unknown(suspects):
    assert not [one["holder"] for one in suspects if "memlens" in one["holder"]]
    assert not [one["holder"] for one in suspects if one["pattern"] is None]


def sees_atexit(core):
    """Whether the callbacks of atexit have a name: up to 3.13 Python code cannot see them."""
    return core == "0" or sys.version_info >= (3, 14)


def test_the_suggestions_name_what_to_change(suspects):
    def of(holder):
        return next(one for one in suspects if re.search(holder, one["holder"]))

    assert "__main__.Report" in of(r"Report\.total")["evidence"]
    assert "'payload'" in of(r"\.hooks$")["suggestion"]
    assert not [one for one in suspects if "memlens/" in one["suggestion"]]
    assert "signal_receivers (" in of(r"signal\.receivers$")["suggestion"]
    assert "View" in of(r"signal\.receivers$")["evidence"]
    assert "atexit." in of("holding function$|: atexit>$")["suggestion"]
    assert "180 references" in of("holding __main__.Request")["evidence"]
    assert "180 containers" in of(r"\.history$")["evidence"]


@pytest.mark.parametrize("core", CORES)
def test_healthy_programs_are_silent(core):
    assert [one["holder"] for one in run("controls.py", core)] == []
