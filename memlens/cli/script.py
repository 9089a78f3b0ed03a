"""Runs a program as ``python script.py`` or ``python -m module`` would."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import CodeType, ModuleType, TracebackType

from memlens._package import PACKAGE_FOLDER
from memlens.errors import ScriptError

__all__ = ("Program", "installed", "load_module", "load_script", "without_own_frames")

_RUN_FOLDER = os.path.join(PACKAGE_FOLDER, "cli", "")


class Program:
    """A loaded program: its code, its ``__main__`` module and its arguments."""

    def __init__(
        self, code: CodeType, module: ModuleType, arguments: list[str], folder: str
    ) -> None:
        self.code = code
        self.module = module
        self.arguments = arguments
        self.folder = folder  # the first entry of ``sys.path``

    def run(self) -> None:
        """Run the program. Its exceptions, including ``SystemExit``, pass unchanged."""
        exec(self.code, self.module.__dict__)


def load_script(path: str, arguments: Sequence[str]) -> Program:
    """Load a program from a file. Raises ``ScriptError`` if it is missing or cannot be read.

    A syntax error in the program passes unchanged.
    """
    try:
        with open(path, "rb") as file:
            source = file.read()
    except OSError as error:
        raise ScriptError(f"cannot run {path!r}: {error.strerror or error}") from error
    module = ModuleType("__main__")
    module.__dict__.update(__file__=path, __builtins__=__builtins__)
    code = compile(source, path, "exec", dont_inherit=True)
    return Program(code, module, [path, *arguments], os.path.dirname(os.path.abspath(path)))


def load_module(name: str, arguments: Sequence[str]) -> Program:
    """Load a module, or the ``__main__`` of a package, as ``python -m`` finds it.

    Raises ``ScriptError`` if there is no such module with Python code.
    """
    sys.path.insert(0, os.getcwd())
    try:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.submodule_search_locations is not None:
            spec = importlib.util.find_spec(f"{name}.__main__")
    except (ImportError, ValueError) as error:
        raise ScriptError(f"cannot run module {name!r}: {error}") from error
    finally:
        del sys.path[0]
    get_code = getattr(spec.loader, "get_code", None) if spec is not None else None
    code = get_code(spec.name) if get_code is not None and spec is not None else None
    if spec is None or code is None:
        raise ScriptError(f"cannot run module {name!r}: no such module, or it has no Python code")
    module = ModuleType("__main__")
    module.__dict__.update(
        __spec__=spec,
        __loader__=spec.loader,
        __package__=spec.parent,
        __file__=spec.origin,
        __cached__=spec.cached,
        __builtins__=__builtins__,
    )
    return Program(code, module, [spec.origin or name, *arguments], os.getcwd())


@contextmanager
def installed(program: Program) -> Iterator[None]:
    """Make a program the ``__main__`` of this process in the block, with its arguments and path."""
    argv, path, main = sys.argv, sys.path[0], sys.modules["__main__"]
    sys.argv, sys.path[0] = program.arguments, program.folder
    sys.modules["__main__"] = program.module
    try:
        yield
    finally:
        sys.argv, sys.path[0] = argv, path
        sys.modules["__main__"] = main


def without_own_frames(traceback: TracebackType | None) -> TracebackType | None:
    """Return a traceback without its leading frames of memlens, and without those of ``run``.

    A signal handler of the program may raise in a callback of ``run``.
    """
    while traceback is not None and _is_in(PACKAGE_FOLDER, traceback):
        traceback = traceback.tb_next
    kept: list[TracebackType] = []
    while traceback is not None:
        if not _is_in(_RUN_FOLDER, traceback):
            kept.append(traceback)
        traceback = traceback.tb_next
    for step in reversed(kept):
        traceback = TracebackType(traceback, step.tb_frame, step.tb_lasti, step.tb_lineno)
    return traceback


def _is_in(folder: str, traceback: TracebackType) -> bool:
    return traceback.tb_frame.f_code.co_filename.startswith(folder)
