"""What runs inside the examined process: takes the request from the exchange folder and answers it.

The source of this module is executed there, in a namespace of its own, so memlens need not be
installed for what does without it. The namespace holds ``FOLDER`` (the exchange folder), ``STACKS``
(the source of `memlens.process.live_stacks`) and ``MAIN_THREAD`` (the identifier of the main thread
if a thread that Python did not start runs this, else 0).
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

__all__ = ("begin",)


def begin(folder: str, stacks_source: str, main_thread: int) -> None:
    """Take the request, if it is still wanted, and answer it in a thread. Never raises."""
    try:
        request = _take(folder)
        if request is None:
            return
        _import_threading(main_thread)

        def work() -> None:
            _answer(folder, request, stacks_source)

        if "gevent" in sys.modules or "eventlet" in sys.modules:
            work()  # their threads would run in an event loop of this thread, which has none
        else:
            import threading

            def work_in_thread() -> None:
                _block_signals()
                work()

            threading.Thread(target=work_in_thread, name="memlens-agent", daemon=True).start()
    except BaseException as error:  # noqa: BLE001 - must not disturb the program
        _write(folder, {"error": _text(error)})


def _block_signals() -> None:
    """Leave the signals of the process to the program, as `memlens._own_thread` does."""
    import signal

    faults = {signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGSEGV}
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals() - faults)


def _take(folder: str) -> dict[str, Any] | None:
    """Return the request; None if it was withdrawn or taken, or if its sender has ended.

    Also if the folder is of another user, who has made it anew since the sender has deleted it.
    """
    import fcntl
    import stat

    taken = os.path.join(folder, "taken.json")
    try:
        status = os.lstat(folder)
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
            return None
        os.rename(os.path.join(folder, "request.json"), taken)
        with open(taken, encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return dict(json.load(file))  # the sender holds the lock while it waits
    except OSError:
        return None
    _remove(folder)
    return None


def _remove(folder: str) -> None:
    try:
        for name in os.listdir(folder):
            os.unlink(os.path.join(folder, name))
        os.rmdir(folder)
    except OSError:
        pass  # the next command sweeps it


def _import_threading(main_thread: int) -> None:
    """Import ``threading`` so that its main thread is right, although another thread imports it.

    Up to Python 3.12 the first thread that imports it counts as the main thread, and the interpreter
    complains at its end if that thread has ended before.
    """
    if "threading" in sys.modules or not main_thread or sys.version_info >= (3, 13):
        return
    import _thread
    import threading

    main: Any = threading.main_thread()
    active: dict[int, Any] = threading._active  # type: ignore[attr-defined]
    active.pop(main._ident, None)
    main._ident, main._native_id = main_thread, os.getpid()
    active[main_thread] = main
    lock = _thread.allocate_lock()
    lock.acquire()
    main._tstate_lock = lock


def _answer(folder: str, request: dict[str, Any], stacks_source: str) -> None:
    try:
        command = request["command"]
        if command == "stacks":
            found = _stacks(stacks_source)
        elif command == "dump":
            found = _dump(request)
        else:
            found = _attach(request)
        answer: dict[str, Any] = {"answer": found}
    except BaseException as error:  # noqa: BLE001 - said to the sender
        answer = {"error": _text(error)}
    _write(folder, answer)


def _text(error: BaseException) -> str:
    is_ours = type(error) is _RefusalError or type(error).__module__ == "memlens.errors"
    return str(error) if is_ours else f"{type(error).__name__}: {error}"


def _write(folder: str, answer: dict[str, Any]) -> None:
    part = os.path.join(folder, "answer.part")
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with open(os.open(part, flags, 0o600), "w", encoding="utf-8") as file:
            json.dump(answer, file)
        os.rename(part, os.path.join(folder, "answer.json"))
    except OSError:
        pass  # the sender has ended and its folder is gone, or the disk is full: it waits no longer


class _RefusalError(Exception):
    """Says what the user has to do."""


def _stacks(source: str) -> dict[str, Any]:
    namespace: dict[str, Any] = {"__name__": "memlens_live_stacks"}
    exec(compile(source, "<memlens>", "exec"), namespace)
    return dict(namespace["live_stacks"]())


def _dump(request: dict[str, Any]) -> dict[str, Any]:
    added, notes = _import_memlens(request)
    try:
        import memlens

        snapshot = memlens.take_heap_snapshot(request["path"], reason="dump")
    finally:
        for path in added:
            sys.path.remove(path)
    return {
        "object_count": snapshot.object_count,
        "pause_seconds": snapshot.pause_seconds,
        "notes": notes,
    }


def _attach(request: dict[str, Any]) -> dict[str, Any]:
    if request["command"] == "stop" and "memlens.attach.attached" not in sys.modules:
        raise _RefusalError("no profiler that attach started runs in this process")
    _, notes = _import_memlens(request)  # its folder stays: the profiler imports more later
    from memlens.attach import attached

    if request["command"] == "stop":
        return attached.stop()
    return {**attached.start(request["output_dir"]), "notes": notes}


def _import_memlens(request: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Import memlens; return the folders that this has added to the path, and notes for the user."""
    try:
        import memlens

        return [], []
    except ImportError as error:
        if error.name != "memlens":
            raise
    version = ".".join(map(str, sys.version_info[:2]))
    python = sys.executable or f"the Python {version} of this process"
    install = f"install it there by: {python} -m pip install memlens"
    if version != request["client_version"]:
        raise _RefusalError(
            f"memlens is not installed in the environment of the process ({sys.prefix}), and this"
            f" command's own cannot be lent: it is for Python {request['client_version']}, not"
            f" {version}; {install}"
        )
    folders = [path for path in request["client_paths"] if path not in sys.path]
    if not os.path.isfile(os.path.join(request["client_paths"][0], "memlens", "__init__.py")):
        raise _RefusalError(
            f"memlens is not installed in the environment of the process ({sys.prefix}), and the"
            f" process does not see the folder of this command's own; {install}"
        )
    sys.path.extend(folders)
    try:
        import importlib

        importlib.invalidate_caches()
        import memlens
    except BaseException:
        for path in folders:
            sys.path.remove(path)
        raise
    note = (
        f"memlens is not installed in the environment of the process ({sys.prefix}): it was loaded"
        f" from {os.path.dirname(os.path.dirname(memlens.__file__))}"
    )
    return folders, [note]


if "FOLDER" in globals():
    begin(globals()["FOLDER"], globals()["STACKS"], globals()["MAIN_THREAD"])
