"""Who may import whom: downwards only, imports for type checking included."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "memlens"
ROOT = "memlens"

# Each room of a house with the rooms below it. A room is a module or a folder.
LAYERS: dict[str, list[set[str]]] = {
    "memlens": [
        {"__main__"},
        {"cli", "integrations"},
        {"agents"},
        {"attach", "demo", "files", "fleet", "watch"},
        {"profiler", "decorators"},
        {"triggers"},
        {"lifetimes", "stuck"},
        {"report", "formats", "tables"},
        {"leaks"},
        {"process", "allocations", "heap"},
        {"_core", "structures", "progress", "_atomic", "_frame"},
        {"_rows"},
        {"_display", "_table"},
        {"_text", "_options", "_fork", "_lazy", "_log", "_own_memory", "_own_thread", "_ready"},
        {"_interpreter"},
        {"errors", "_package", "_presentation", "_uninterrupted"},
    ],
    "memlens.heap": [
        {"live", "live_search"},
        {"referrer_picture"},
        {"capture"},
        {"snapshot"},
        {"comparison"},
        {"views"},
        {"graph", "native"},
    ],
    "memlens.allocations": [
        {"profiler", "tracker", "blocks"},
        {"sampling", "tracing"},
        {"profile"},
        {"options", "stored_values"},
    ],
    "memlens.process": [
        {"sampler"},
        {"sampling_thread", "history"},
        {"gc_pauses", "schedule", "reading", "memory_breakdown", "detector", "headroom"},
        {
            "allocator_memory",
            "held_memory",
            "identity",
            "limits",
            "mapped_memory",
            "live_stacks",
            "resident_peak",
            "service",
            "start",
        },
        {"memory_part"},
    ],
    "memlens.leaks": [
        {"leak_report", "scopes"},
        {"baselines"},
        {"suspects", "scope_report", "growing_types", "unexplained"},
        {"cases"},
        {"naming", "find_growth", "gained_types", "pytest_records", "released"},
        {"patterns"},
        {
            "detectors",
            "ending",
            "mentions",
            "stated_bounds",
            "sharing",
            "people_paths",
            "program_paths",
        },
        {"growth"},
        {"places"},
        {"gates", "place_keys", "fingerprints", "origins", "slow_collector", "native_growth"},
    ],
    "memlens.report": [{"html"}, {"html_fragment", "terminal"}],
    "memlens.report.html": [
        {"html_report", "fleet_page"},
        {"document", "page"},
        {
            "flame",
            "treemap",
            "suspects",
            "tables",
            "lines",
            "timeline",
            "verdict",
            "breakdown",
            "health",
        },
        {"keeping_lines", "own_frames", "released"},
        {"source"},
        {"limits", "glossary"},
    ],
    "memlens.lifetimes": [
        {"libraries"},
        {"closing", "requests", "test_cases", "pytest_plugin"},
        {"expectations"},
        {"late_objects"},
    ],
    "memlens.stuck": [{"stuck_report"}, {"wakeable"}, {"waiters"}, {"labelled_edges"}],
    "memlens.triggers": [
        {
            "alerts",
            "limits",
            "exits",
            "memory_errors",
            "schedules",
            "signals",
        },
        {"guards"},
        {"protocol", "reserve", "ticker", "turns"},
    ],
    "memlens.profiler": [
        {"memory_profiler"},
        {"duties"},
        {"report_making", "table_child", "table_writing"},
        {"alerts", "metrics", "table_backlog", "triggering"},
        {"table_request"},
        {"control_commands", "snapshot_store", "analysis", "analysis_child", "report_tables"},
        {"agenda", "control_socket"},
        {"registry", "snapshot_choices"},
        {
            "allocation_source",
            "caller_turns",
            "child_process",
            "exit_call",
            "file_owner",
            "folder_lock",
            "guarded_capture",
            "listener",
            "profiler_options",
            "profiler_report",
            "recording",
            "table_counters",
            "table_readings",
            "trend_detectors",
            "worker",
        },
        {"answering", "open_alerts", "plain_values", "steep_rise"},
    ],
    "memlens.integrations": [
        {"ipython", "opentelemetry", "prometheus", "profiles_out", "pytest", "web"},
        {"metrics", "notebooks", "pytest_plugin", "sending"},
    ],
    "memlens.integrations.metrics": [{"metric_table"}, {"metric_samples"}, {"site_labels"}],
    "memlens.integrations.sending": [
        {"profile_delivery"},
        {"profile_requests"},
        {"otel_environment"},
        {"http_post", "span_links"},
    ],
    "memlens.integrations.pytest_plugin": [
        {"summary"},
        {"marked_tests"},
        {"rounds", "peak", "repeated_test", "options"},
        {"left_objects"},
        {"markers", "tools_of_tests"},
    ],
    "memlens.integrations.web": [
        {"asgi", "wsgi"},
        {"endpoints"},
        {"work"},
        {"contents", "responses"},
        {"access", "child"},
        {"guard", "making", "requests", "stopping", "temporary"},
    ],
    "memlens.cli": [
        {"main"},
        {
            "demo",
            "run",
            "views",
            "allocations",
            "convert",
            "fleet",
            "html",
            "watch",
            "mcp",
            "tables",
        },
        {"attach"},
        {"exit_report", "follow_hook", "last_moment", "output", "script", "snapshot_requests"},
        {"json_schema"},
        {"child_reports", "ending", "follow_children", "followed", "report_options", "working"},
        {"run_profiler"},
    ],
    "memlens.fleet": [
        {"heap_report", "spark"},
        {"fleet_report", "table_report"},
        {"analysing", "groups"},
        {"files", "whole_heaps"},
        {"heap_paths", "processes"},
        {"answer_text", "duckdb_engine", "heap_reach", "questions"},
        {"answers", "engine", "statistics"},
    ],
    "memlens.fleet.questions": [
        {"call_paths", "deploy", "growth", "limits", "new_leaks"},
        {"confirmed_leaks", "question"},
        {"fleet_facts"},
    ],
    "memlens.tables": [
        {"heap_tables"},
        {"merging", "value_tables"},
        {
            "allocation_paths",
            "heap_types",
            "holders",
            "merge_hold",
            "merge_report",
            "merge_sources",
            "readings",
            "suspects",
            "verdicts",
            "whole_heap",
        },
        {"named_holders", "process_columns", "stable_frames", "top_rows"},
        {"table_folder"},
        {"url_listing", "parquet_file"},
        {"listing"},
        {"partition_names"},
        {"odd_values"},
        {"arrow_types", "schema_text"},
        {"schema"},
    ],
    "memlens.agents": [
        {"server"},
        {"tools"},
        {"groups", "objects", "allocation_sites", "processes"},
        {"leaks", "listing"},
        {"known_files"},
        {"answers", "arguments", "workspace"},
    ],
    "memlens.attach": [
        {"ways", "agent"},
        {"by_gdb", "by_remote_exec", "by_socket", "attached"},
        {"exchange"},
        {"rights"},
        {"target", "request", "stacks"},
        {"elf", "gdb_commands", "received", "refusal", "wake"},
    ],
    "memlens.watch": [
        {"app"},
        {"screens", "model", "report_files"},
        {"files_source", "program_source", "drill", "drill_child"},
        {"process_source"},
        {"snapshot_files"},
        {"source"},
    ],
}
# Stricter than their layer: these can be used without the rest of the package.
ONLY = {
    "structures": set(),
    "_core": {"errors", "_interpreter", "_uninterrupted"},
    "_atomic": {"errors", "_uninterrupted"},
    "_uninterrupted": set(),
    "_text": set(),
    "_options": {"errors"},
    "_interpreter": {"errors"},
    "_fork": set(),
    "_log": set(),
    "_own_memory": set(),
    "_own_thread": set(),
    "_ready": set(),
    "_lazy": {"_interpreter"},
    "_presentation": set(),
}
MODULES = sorted(PACKAGE.rglob("*.py"))
# Those that need a distribution of an extra.
EXTRAS = {"watch/app.py": "textual", "watch/screens.py": "textual", "agents/server.py": "mcp"}


def module_of(path: Path) -> str:
    """Return the dotted name of a module; of a package for its ``__init__.py``."""
    parts = [ROOT, *path.relative_to(PACKAGE).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def can_be_imported(path: Path) -> bool:
    """Tell whether the distribution that a module needs is installed."""
    needed = EXTRAS.get(str(path.relative_to(PACKAGE)))
    return needed is None or importlib.util.find_spec(needed) is not None


def room_in(house: str, module: str) -> str | None:
    """Return the room of a house that a module is in; None for one outside it."""
    if not module.startswith(house + "."):
        return None
    return module.removeprefix(house + ".").split(".")[0]


def level_of(house: str, room: str) -> int:
    for level, rooms in enumerate(LAYERS[house]):
        if room in rooms:
            return level
    raise AssertionError(f"{house}.{room} has no room in the house: add it to LAYERS")


def modules_imported(path: Path) -> set[str]:
    """Return the modules of ours that a file imports, those for type checking included."""
    modules = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: imports are absolute here"
            # The name may be a module of the package, or something that the module defines.
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        modules |= {name for name in names if name.startswith(ROOT + ".")}
    return modules - {f"{ROOT}.__version__"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_only_downwards(path):
    module = module_of(path)
    for house in LAYERS:
        room = room_in(house, module)
        if room is None:
            continue  # outside; the package root stands above all
        level = level_of(house, room)
        for imported in modules_imported(path):
            other = room_in(house, imported)
            if other in (None, room):
                continue
            assert level_of(house, other) > level, f"{module} must not import {imported}: not below"
            if house == ROOT and room in ONLY:
                assert other in ONLY[room], f"{module} must not import {imported}"


def test_no_modules_import_each_other():
    graph = {module_of(path): modules_imported(path) for path in MODULES}
    imports = {
        module: {target for name in names for target in (name, name.rpartition(".")[0])
                 if target in graph and target not in (module, ROOT)}
        for module, names in graph.items()
    }  # fmt: skip
    assert list(find_cycles(imports)) == []


def find_cycles(imports: dict[str, set[str]]):
    """Yield each module that can reach itself, with a module on the way."""
    for start in imports:
        seen, waiting = set(), list(imports[start])
        while waiting:
            module = waiting.pop()
            if module == start:
                yield start, sorted(seen)
                break
            if module not in seen:
                seen.add(module)
                waiting += imports.get(module, ())


def test_the_check_finds_an_import_that_goes_up_and_a_cycle(tmp_path):
    wrong = tmp_path / "wrong.py"
    wrong.write_text("def f():\n    from memlens.profiler import MemoryProfiler\n")
    assert modules_imported(wrong) == {"memlens.profiler.MemoryProfiler"}
    assert room_in("memlens", "memlens.profiler.MemoryProfiler") == "profiler"
    assert [start for start, _ in find_cycles({"a": {"b"}, "b": {"a"}, "c": {"a"}})] == ["a", "b"]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_module_says_what_it_exports(path):
    if path.name in {"__init__.py", "__main__.py"} or path.parent.name == "demo":
        return
    if not can_be_imported(path):
        pytest.skip(f"{EXTRAS[str(path.relative_to(PACKAGE))]} is not installed")
    name = ".".join([ROOT, *path.relative_to(PACKAGE).with_suffix("").parts])
    module = importlib.import_module(name)
    assert type(module.__all__) is tuple
    assert list(module.__all__) == sorted(module.__all__, key=_in_ruffs_order)
    for exported in module.__all__:
        assert hasattr(module, exported)


def _in_ruffs_order(name: str) -> tuple[int, str]:
    """Constants, then classes, then the rest: as ruff sorts ``__all__``."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2, name)


def test_every_module_imports_alone():
    modules = [
        ".".join([ROOT, *path.relative_to(PACKAGE).with_suffix("").parts])
        for path in MODULES
        if path.name not in {"__init__.py", "__main__.py"} and path.parent.name != "demo"
        if can_be_imported(path)
    ]
    script = (
        "import importlib, sys\n"
        "for name in sys.argv[1:]:\n"
        "    for loaded in [m for m in sys.modules if m.split('.')[0] == 'memlens']:\n"
        "        del sys.modules[loaded]\n"
        "    importlib.import_module(name)\n"
    )
    subprocess.run(
        [sys.executable, "-W", "error", "-c", script, *modules], check=True, cwd=PACKAGE.parent
    )
