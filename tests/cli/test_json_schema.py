"""The output of every command with --json follows its schema, and schemas lose no field."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
from pathlib import Path

import pytest

import memlens
from memlens._core.layout import EdgeKind
from memlens.attach.stacks import ProcessStacks
from memlens.cli.json_schema import SCHEMAS, json_schema, stamped
from memlens.cli.main import _parser
from memlens.errors import OptionError
from memlens.process.live_stacks import live_stacks
from tests.agents.files import leaking_folder
from tests.cli.json_check import complaints, fields_of
from tests.cli.test_main import LEAKING, call, run
from tests.heap.planted import Planter
from tests.test_files import make_profile

FIELDS = Path(__file__).with_name("json_fields.txt")
LAST = "heap-3.memlens"
SEVERAL = [f"heap-{number}.memlens" for number in range(4)]
# Each command with --json: the name of the schema of its output, and arguments.
CORPUS = [
    ("leaks", ["leaks", *SEVERAL]),
    ("leaks", ["leaks", *SEVERAL[:2]]),
    ("leaks", ["leaks", "--baseline", "known.json", *SEVERAL]),
    ("leaks", ["leaks", "unexplained-0.memlens", "unexplained-1.memlens", "unexplained-2.memlens"]),
    ("leaks", ["report", *SEVERAL]),
    ("leaks", ["demo"]),
    ("summary", ["report", LAST]),
    *(
        ("summary", ["summary", "--by", by, "native.memlens"])
        for by in ("type", "module", "size", "referrer", "device")
    ),
    ("kinds", ["summary", "--by", "kind", "native.memlens"]),
    ("dominators", ["dominators", "--depth", "3", LAST]),
    ("summary", ["dominators", "--by", "type", LAST]),
    ("drops", ["dominators", "--by", "drop", LAST]),
    ("paths", ["paths", "--largest", LAST]),
    ("stuck", ["stuck", LAST]),
    ("duplicates", ["duplicates", "equal.memlens"]),
    ("diff", ["diff", SEVERAL[0], LAST]),
    ("allocations", ["allocations", "allocations.json"]),
    ("allocation-lines", ["allocations", "--lines", "allocations.json"]),
    ("traces", ["allocations", "own.traces"]),
    ("converted", ["convert", LAST, "-o", "out.heapsnapshot"]),
    ("html", ["html", LAST]),
    ("fleet", ["fleet", "--all", "workers"]),
    ("tables-schema", ["tables schema"]),
]
# Their output is tested below: they run a program, or need pyarrow.
LIVE = [
    ("run", ["run"]),
    ("stacks", ["stacks"]),
    ("fleet-rows", ["fleet"]),
    ("fleet-tables", ["fleet"]),
    ("tables-heap", ["tables heap"]),
    ("tables-merge", ["tables merge"]),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with files of all kinds."""
    path = leaking_folder(tmp_path_factory.mktemp("json"))
    leaking_folder(path / "workers", name="heap-periodic-20250131T120000000Z-4711-a0")
    make_profile().save(path / "allocations.json")
    (path / "known.json").write_text(
        json.dumps({"suspects": [{"fingerprint": "leak-0123456789", "holder": "app.old"}]})
    )
    with memlens.TraceStore() as store:
        kept = [bytearray(1000) for _ in range(20)]
        store.take()
    assert len(kept) == 20
    store.save(path / "own.traces")
    p = Planter()
    p.native(1 << 20, p.module("app", array=p.node("numpy.ndarray", 120)))
    p.snapshot(pid=1).save(path / "native.memlens")
    for number in range(3):
        p = Planter()
        p.module("app")
        memory = {"malloc_in_use_bytes": (1 + number) << 30}
        snapshot = p.snapshot(pid=3, timestamp=1e3 * number, memory=memory)
        snapshot.save(path / f"unexplained-{number}.memlens")
    p = Planter()
    texts = [p.node("str", 100) for _ in range(2)]
    items = p.node("list", 100)
    for place, text in enumerate(texts):
        p.edge(items, text, EdgeKind.INDEX, position=place)
    p.module("app", items=items)
    p.equals.append(texts)
    p.snapshot(pid=1).save(path / "equal.memlens")
    return path


@pytest.mark.parametrize(
    ("name", "arguments"), CORPUS, ids=[" ".join(arguments) for _, arguments in CORPUS]
)
def test_output_follows_the_schema_that_it_names(folder, name, arguments):
    command, *others = arguments
    done = call(*command.split(), "--json", *others, cwd=folder)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout, parse_constant=no_constant)
    check(name, document)


def check(name, document):
    assert document["schema"] == f"memlens/{name}/{SCHEMAS[name]}"
    for schema in (json_schema(), json_schema(name)):
        assert complaints(document, schema) == []
    if importlib.util.find_spec("jsonschema"):
        import jsonschema

        jsonschema.Draft202012Validator(json_schema(name)).validate(document)
        jsonschema.Draft202012Validator(json_schema()).validate(document)


def no_constant(name):
    raise AssertionError(f"{name} is not JSON")


def test_the_report_of_run_follows_its_schema_on_stderr_and_in_its_file(tmp_path):
    (tmp_path / "leaking.py").write_text(LEAKING)
    done = run("run", "--json", "--allocations", "-o", "out", "leaking.py", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "out" / "report.json").read_text()
    printed = done.stderr[done.stderr.index("{") :]  # warnings come first: there may be no sampler
    assert json.loads(printed) == json.loads(text, parse_constant=no_constant)
    check("run", json.loads(text))


def test_the_stacks_of_a_process_follow_their_schema():
    answer = live_stacks()
    check("stacks", stamped("stacks", ProcessStacks.of(os.getpid(), answer).to_dict()))


def commands_with_json(parser=None, name=""):
    found = set()
    for action in (parser or _parser())._actions:
        if "--json" in action.option_strings:
            found.add(name)
        if isinstance(action, argparse._SubParsersAction):
            for word, below in action.choices.items():
                found |= commands_with_json(below, f"{name} {word}".lstrip())
    return found


def test_every_command_with_json_is_in_the_corpus():
    assert commands_with_json() == {arguments[0] for _, arguments in [*CORPUS, *LIVE]}
    assert {name for name, _ in [*CORPUS, *LIVE]} == {*SCHEMAS}


def test_no_version_of_a_schema_loses_a_field():
    """To add a field, add its line to the file. To remove one, change the version."""
    now = set()
    for name, version in SCHEMAS.items():
        schema = json_schema(name)
        now |= {f"{name}/{version} {field}" for field in fields_of(schema, schema)}
    known = {*FIELDS.read_text(encoding="utf-8").splitlines()}
    current = tuple(f"{name}/{version} " for name, version in SCHEMAS.items())
    assert [line for line in known - now if line.startswith(current)] == []
    assert now - known == set(), "add these to json_fields.txt"


def test_schemas_are_valid_and_refuse_what_is_wrong(folder):
    document = json.loads(call("leaks", "--json", *SEVERAL, cwd=folder).stdout)
    schema = json_schema("leaks")
    assert complaints({**document, "pid": "4711"}, schema)
    assert complaints({**document, "verdict": "maybe"}, schema)
    assert complaints({**document, "new": 1}, schema)
    assert complaints({k: v for k, v in document.items() if k != "suspects"}, schema)
    if importlib.util.find_spec("jsonschema"):
        import jsonschema

        jsonschema.Draft202012Validator.check_schema(json_schema())


def test_the_command_prints_the_schemas(tmp_path):
    assert json.loads(call("schema", cwd=tmp_path).stdout) == json_schema()
    shown = json.loads(call("schema", "stuck", cwd=tmp_path).stdout)
    assert shown == json_schema("stuck") and shown["$defs"].keys() == {"frame"}
    refused = call("schema", "colours", cwd=tmp_path)
    assert refused.returncode == 2 and "there is no schema 'colours'" in refused.stderr
    with pytest.raises(OptionError):
        json_schema("colours")


def test_the_answers_of_a_fleet_follow_their_schemas(tmp_path):
    pytest.importorskip("pyarrow")
    pytest.importorskip("duckdb")
    from tests.fleet.fleet_tables import write_fleet

    write_fleet(tmp_path / "tables")
    rows = ["--sql", "select day, time, process, rss_bytes from readings"]
    for name, arguments in [("fleet-tables", []), ("fleet-rows", rows)]:
        done = call("fleet", "--json", "tables", *arguments, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        check(name, json.loads(done.stdout, parse_constant=no_constant))


def test_the_commands_that_write_tables_follow_their_schemas(folder):
    pytest.importorskip("pyarrow")
    for name, arguments in [
        ("tables-heap", [LAST, "native.memlens", "tables"]),
        ("tables-merge", ["--older-than", "0", "tables"]),
        ("tables-merge", ["--older-than", "0", "tables"]),
    ]:
        done = call(*name.split("-"), "--json", *arguments, cwd=folder)
        assert done.returncode == 0, done.stderr
        check(name, json.loads(done.stdout, parse_constant=no_constant))


def test_a_document_begins_with_its_schema():
    assert [*stamped("stuck", {"pid": 1})] == ["schema", "pid"]
