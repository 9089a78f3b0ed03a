"""To a process by gdb: it starts a thread there that runs a line of Python."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
from typing import Any

from memlens.attach.elf import X86_64
from memlens.attach.exchange import Exchange
from memlens.attach.refusal import RefusalError
from memlens.attach.target import Target, permission_advice

__all__ = ("inject",)

_SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "gdb_commands.py")
_MAX_SECONDS = 20.0  # of gdb, after which a call in the process is abandoned
_PYTHON = ("PyGILState_Ensure", "PyRun_SimpleString", "PyGILState_Release", "Py_IsInitialized")
_LIBC = ("mmap", "mprotect", "pthread_create", "pthread_self", "pthread_detach")
# Names of exported functions are enough. Reading more symbols would stop the process for longer.
_OPTIONS = (
    "-iex", "set auto-load off",
    "-iex", "set auto-solib-add off",
    "-iex", "set debug-file-directory /nonexistent",
)  # fmt: skip
_LINE = """\
try:
    exec({loader!r}, {{'MEMLENS_MAIN_THREAD': %MAIN_THREAD%}})
except BaseException:
    pass
"""
# It may run later than the command waits. Then the folder is gone, and another user may have made one.
_LOADER = """\
import os, stat
status = os.lstat({folder!r})
if stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid():
    with open({script!r}, 'rb') as file:
        code = file.read()
    exec(compile(code, '<memlens>', 'exec'))
"""


def inject(target: Target, exchange: Exchange) -> float:
    """Let the target run the script of an exchange; return for how many seconds it was stopped.

    Raises ``RefusalError`` if gdb is missing, may not attach, or cannot start a thread there.
    """
    gdb = shutil.which("gdb")
    if gdb is None:
        raise RefusalError(
            "gdb is not installed here: install it (apt-get install gdb, dnf install gdb, apk add"
            " gdb)"
        )
    if target.tracer:
        raise RefusalError(
            f"process {target.tracer} traces it already (a debugger, strace): end that"
        )
    loader = _LOADER.format(folder=exchange.folder, script=exchange.script)
    parameters = {
        "pid": target.pid,
        "addresses": _addresses(target),
        "source": _LINE.format(loader=loader),
        "max_seconds": _MAX_SECONDS,
    }
    result = _run_gdb(gdb, parameters)
    if "refused" in result:
        raise RefusalError(f"gdb may not attach ({result['refused']}): {permission_advice(target)}")
    if result.get("failure"):
        raise RefusalError(f"gdb could not start a thread in it: {result['failure']}")
    return float(result["stopped_seconds"])


def _addresses(target: Target) -> dict[str, int]:
    if target.python.elf.machine != X86_64:
        raise RefusalError("this way works on x86-64 only")
    found: dict[str, int] = {}
    for image in target.images:
        if os.path.basename(image.path).startswith("ld-linux"):
            continue  # defines functions of libc for itself
        for name, address in image.addresses(*_PYTHON, *_LIBC).items():
            found.setdefault(name, address)
        if "malloc" in image.elf.symbols(["malloc"]) and image is target.python:
            raise RefusalError(
                "its program brings an allocator of its own, whose locks are unknown"
            )
    missing = sorted({*_PYTHON, *_LIBC} - set(found))
    if missing:
        raise RefusalError(f"its program exports no {', '.join(missing)}")
    return found


def _run_gdb(gdb: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Run gdb with parameters; return what it reports.

    gdb has a session of its own and writes to a file: it finishes and detaches if the terminal, or
    the command that started it, ends before.
    """
    folder = tempfile.mkdtemp(prefix="memlens-gdb-")
    result = os.path.join(folder, "result.json")
    given = os.path.join(folder, "parameters.json")
    log = os.path.join(folder, "log.txt")
    with open(given, "w", encoding="utf-8") as file:
        json.dump({**parameters, "result": result}, file)
    try:
        with open(log, "wb") as output:
            process = subprocess.Popen(
                [gdb, "-nx", "-nh", "-batch", *_OPTIONS, "-x", _SCRIPT],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
                env=_environment(given), cwd=folder,
            )  # fmt: skip
        _wait(process)
        try:
            with open(result, encoding="utf-8") as file:
                return dict(json.load(file))
        except FileNotFoundError:
            raise RefusalError(f"gdb has failed: {_last_line(log)}") from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(2 * _MAX_SECONDS)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)  # gdb abandons what it does, and detaches
        raise RefusalError("gdb did not finish in time") from None


def _environment(parameters: str) -> dict[str, str]:
    """Return the environment of gdb: its own Python must not import from this one's folders."""
    left_out = ("PYTHON", "DEBUGINFOD")
    kept = {name: text for name, text in os.environ.items() if not name.startswith(left_out)}
    return {**kept, "LC_ALL": "C", "MEMLENS_GDB": parameters}


def _last_line(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:
        lines = [line.strip() for line in file if line.strip()]
    text = lines[-1] if lines else "it ended without a message"
    if "Python scripting is not supported" in "\n".join(lines):
        return "this gdb was built without Python: install the full gdb, not gdb-minimal"
    return text
