"""Which interpreter of the process this is: memlens examines the main one."""

from __future__ import annotations

import importlib

from memlens.errors import CaptureError

__all__ = ("require_main_interpreter",)


def _is_main() -> bool:
    for name in ("_interpreters", "_xxsubinterpreters"):  # since 3.13; before
        try:
            module = importlib.import_module(name)
        except ImportError:
            continue
        return bool(module.get_current() == module.get_main())
    return True  # a build without sub-interpreters


_IS_MAIN = _is_main()  # each interpreter has modules of its own


def require_main_interpreter(what: str) -> None:
    """Raise ``CaptureError`` in a sub-interpreter. ``what`` begins the sentence: "a snapshot".

    The objects of another interpreter cannot be told from those of this one, its threads may not run
    when it ends, and libraries that memlens needs refuse to be loaded there.
    """
    if not _IS_MAIN:
        raise CaptureError(
            f"{what} needs the main interpreter, and this is a sub-interpreter: call it there (in"
            " mod_wsgi: WSGIApplicationGroup %{GLOBAL})"
        )
