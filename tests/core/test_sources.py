"""The C core keeps its order: what an install compiles, which file calls which, where versions are."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
NATIVE = ROOT / "memlens" / "_core" / "native"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
TABLES = {
    table["name"].rpartition(".")[2]: table
    for table in PROJECT["tool"]["setuptools"]["ext-modules"]
}
HALVES = ["_graph", "_capture"]

COMMENT_OR_TEXT = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"', re.DOTALL)
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)
DEFINITION = re.compile(r"^(?!static\b)[A-Za-z_][\w \t*]*\n(\w+)\([^;{}]*\)\n\{", re.MULTILINE)
DATA = re.compile(r"^const \w[\w ]*\b(\w+)\[[^\]]*\] = ", re.MULTILINE)
WORD = re.compile(r"(?<!->)(?<!\.)\b[A-Za-z_]\w*\b")  # no members of structures
VERSION = re.compile(r"\b(?:MEMLENS_MINOR|PY_VERSION_HEX|PY_MINOR_VERSION|PY_MAJOR_VERSION)\b")
INTERNAL = re.compile(r"pycore_|Py_BUILD_CORE|base/compat\.h|base/frames\.h|MEMLENS_SUPPORTED")


def read_sources():
    """The text of each C file and header, by its name within the folder."""
    return {
        path.relative_to(NATIVE).as_posix(): path.read_text()
        for path in sorted(NATIVE.rglob("*.[ch]"))
    }


def names_of(paths):
    return {Path(path).relative_to("memlens/_core/native").as_posix() for path in paths}


def code_of(text):
    """C without comments and string literals; includes are gone with the latter."""
    return COMMENT_OR_TEXT.sub(" ", text)


def headers_below(name, sources):
    """All headers that a file includes, directly or not."""
    found, left = set(), [name]
    while left:
        for header in INCLUDE.findall(sources[left.pop()]):
            if header in sources and header not in found:  # others are CPython's
                found.add(header)
                left.append(header)
    return found


def calls_between_files(sources):
    """Which other C files the functions of each C file are defined in that it uses."""
    codes = {name: code_of(text) for name, text in sources.items() if name.endswith(".c")}
    # Both extensions have functions of the same name, in no file that they share.
    homes = {}
    for name, code in codes.items():
        for function in DEFINITION.findall(code) + DATA.findall(code):
            homes.setdefault(function, set()).add(name)
    uses = {}
    for name, code in codes.items():
        words = set(WORD.findall(code))
        uses[name] = {
            home for word in words & homes.keys() if name not in homes[word] for home in homes[word]
        }
    return uses


def find_circle(uses):
    """Files that use each other in a circle, or an empty list."""
    done = set()

    def visit(name, path):
        if name in path:
            return [*path[path.index(name) :], name]
        if name in done:
            return []
        for other in sorted(uses.get(name, ())):
            circle = visit(other, [*path, name])
            if circle:
                return circle
        done.add(name)
        return []

    for name in sorted(uses):
        circle = visit(name, [])
        if circle:
            return circle
    return []


def test_every_c_file_is_compiled_by_an_install():
    compiled = set().union(*(names_of(TABLES[half]["sources"]) for half in HALVES))
    assert compiled == {name for name in read_sources() if name.endswith(".c")}


@pytest.mark.parametrize("half", HALVES)
def test_every_header_is_named_so_that_the_sdist_has_it(half):
    sources = read_sources()
    needed = set().union(
        *(headers_below(name, sources) for name in names_of(TABLES[half]["sources"]))
    )
    assert names_of(TABLES[half]["depends"]) == needed


def test_every_header_is_used():
    named = set().union(*(names_of(TABLES[half]["depends"]) for half in HALVES))
    assert named == {name for name in read_sources() if name.endswith(".h")}


def test_no_c_files_call_each_other_in_a_circle():
    uses = calls_between_files(read_sources())
    assert uses["capture/run.c"] >= {"capture/walk.c", "capture/bounds.c"}  # it reads calls at all
    assert find_circle(uses) == []


def test_no_headers_include_each_other_in_a_circle():
    sources = read_sources()
    includes = {name: set(INCLUDE.findall(text)) for name, text in sources.items()}
    assert find_circle(includes) == []


def test_a_file_includes_the_header_of_what_it_calls():
    sources = read_sources()
    missing = {
        (name, home)
        for name, homes in calls_between_files(sources).items()
        for home in homes
        if {f"{home[:-2]}.h", f"{home.partition('/')[0]}/module.h"}.isdisjoint(
            headers_below(name, sources)
        )
    }
    assert missing == set()


def test_a_circle_is_found():
    sources = {
        "a.c": "int\nup(int n)\n{\n    return down(n);\n}\n",
        "b.c": "int\ndown(int n)\n{\n    return over(n);\n}\n",
        "c.c": "int\nover(int n)\n{\n    return up(n);\n}\n",
    }
    assert find_circle(calls_between_files(sources)) == ["a.c", "b.c", "c.c", "a.c"]
    sources["c.c"] = "int\nover(int n)\n{\n    return n; /* not up(n) */\n}\n"
    assert find_circle(calls_between_files(sources)) == []


def test_versions_of_python_are_told_apart_in_few_headers_only():
    found = {name for name, text in read_sources().items() if VERSION.search(code_of(text))}
    # The module refuses another version than the one it was built for.
    headers = {"base/after_fork.h", "base/compat.h", "base/frame_layout.h", "base/frames.h"}
    parts = {name for name in found if name.startswith("base/compat/")}
    assert found - parts == headers | {"capture/module.c"}


def test_the_graph_half_uses_the_public_c_api_only():
    sources = read_sources()
    half = names_of(TABLES["_graph"]["sources"]) | names_of(TABLES["_graph"]["depends"])
    assert [name for name in sorted(half) if INTERNAL.search(sources[name])] == []


@pytest.mark.parametrize(
    ("path", "condition"),
    [
        ("native/graph/module.c", ""),
        ("gc_pauses.c", ""),
        ("native/capture/module.c", "!MEMLENS_SUPPORTED"),  # where it only refuses
        ("sampler/sampler.c", "!SAMPLER_SUPPORTED"),
    ],
)
def test_no_extension_turns_the_gil_of_a_free_threaded_build_on(path, condition):
    """A module without this slot does; what needs the GIL refuses such a build, with the slot."""
    code = code_of((ROOT / "memlens" / "_core" / path).read_text())
    assert "{Py_mod_gil, Py_MOD_GIL_NOT_USED}" in code
    assert condition in code
    for header in (NATIVE / "base/compat.h", NATIVE / "base/frame_layout.h"):
        assert "Py_GIL_DISABLED" in header.read_text()


@pytest.mark.parametrize("folder", ["sampler", "."])
def test_every_c_file_is_among_the_sources_of_the_extension(folder):
    prefix = "" if folder == "." else f"{folder}/"
    listed = re.findall(
        rf'"(memlens/_core/{prefix}\w+\.[ch])"', (ROOT / "pyproject.toml").read_text()
    )
    there = [
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "memlens" / "_core" / folder).glob("*.[ch]")
    ]
    assert there
    assert sorted(listed) == sorted(there)


def test_only_one_file_of_the_sampler_depends_on_the_version_of_cpython():
    """A new version of CPython then means a change to one file."""
    internal = re.compile(
        r"PY_VERSION_HEX|Py_GIL_DISABLED|pycore_|\b_Py[A-Z]\w+|tstate->|CPython 3"
    )
    folder = ROOT / "memlens" / "_core" / "sampler"
    assert [
        path.name for path in folder.iterdir() if internal.search(code_of(path.read_text()))
    ] == ["frames.h"]
