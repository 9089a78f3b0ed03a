"""Files are written in one way: who opens one to write is listed here, and why it may."""

import ast
from pathlib import Path

import memlens

PACKAGE = Path(memlens.__file__).parent

# Each way to make, open for writing or replace a file, by module.
WRITERS = {
    "_atomic.py": "the one way: a private name, exclusive, no links, synced, renamed",
    "structures/_files.py": "the same for files of the program; structures import nothing of memlens",
    "attach/agent.py": "answers in the folder of a request, in a process that has no memlens perhaps",
    "attach/by_gdb.py": "makes a private folder for what gdb is told and says",
    "attach/by_remote_exec.py": "writes to the memory of the process, as PEP 768 asks",
    "attach/elf.py": "opens a path to see that it is a regular file",
    "attach/exchange.py": "makes a private folder with the rights of the process, by descriptors",
    "attach/gdb_commands.py": "runs in gdb, without memlens, and writes to the folder of `by_gdb`",
    "cli/follow_hook/sitecustomize.py": "notes why a child is not followed, where memlens fails",
    "cli/main.py": "opens /dev/null in place of an output that is gone",
    "cli/run.py": "makes a private folder for snapshots that nobody asked to keep",
    "process/resident_peak.py": "asks the kernel to begin a new peak",
    "profiler/table_writing.py": "makes a private file without a name for the request to a child",
    "tables/merge_hold.py": "moves the sources of a merge into a folder of their own, and back",
    "tables/parquet_file.py": "opens the descriptor of a file of `_atomic` for pyarrow",
    "watch/program_source.py": "the same, and a file in it for what the program writes",
}
MAKERS = {
    "mkdtemp", "mkstemp", "mktemp", "NamedTemporaryFile", "TemporaryFile", "write_bytes",
    "write_text", "touch", "copyfile", "copy", "rename", "replace", "link", "symlink",
}  # fmt: skip
MODULES = {"os", "shutil", "tempfile"}


def writes(call):
    """Whether a call makes or opens a file to write."""
    function = call.func
    if isinstance(function, ast.Name):
        return function.id == "open" and has_writing_mode(call)
    if not isinstance(function, ast.Attribute):
        return False
    owner = function.value.id if isinstance(function.value, ast.Name) else ""
    if function.attr == "open":
        return "O_RDONLY" not in ast.unparse(call) if owner == "os" else has_writing_mode(call)
    if function.attr in ("write_bytes", "write_text", "touch"):
        return owner not in MODULES
    return function.attr in MAKERS and owner in MODULES


def has_writing_mode(call):
    modes = [*call.args[1:2], *(word.value for word in call.keywords if word.arg == "mode")]
    return any(
        not isinstance(mode, ast.Constant) or bool(set(str(mode.value)) & set("wax+"))
        for mode in modes
    )


def writers_in(source):
    return [
        node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call) and writes(node)
    ]


def test_the_ways_to_write_are_found():
    found = [
        "open('a', 'w')", "open('a', mode='ab')", "open('a', mode)", "Path('a').write_text('')",
        "os.open('a', os.O_WRONLY)", "tempfile.mkdtemp()", "os.replace('a', 'b')",
        "gzip.open('a', 'xb')",
    ]  # fmt: skip
    assert all(writers_in(source) for source in found)
    others = ["open('a')", "open('a', 'rb')", "os.open('a', os.O_RDONLY)", "text.replace('a', 'b')"]
    assert not any(writers_in(source) for source in others)


def test_only_these_modules_write_files():
    found = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if writers_in(path.read_text(encoding="utf-8"))
    }
    assert found == set(WRITERS)
