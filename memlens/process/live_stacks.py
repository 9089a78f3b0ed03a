"""Where the threads and the suspended asyncio tasks of this process stand: names, no values.

The source of this module also runs in processes in which memlens is not installed. It uses only the
standard library, and imports nothing that the program has not imported.
"""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

__all__ = ("live_stacks",)

_MAX_FRAMES = 200
_MAX_TASKS = 10_000
_LOOP_METHODS = ("run_forever", "_run_once")
# What runs here to answer.
_OWN_SCRIPT = re.compile(r"^<memlens>$|/memlens-attach-[0-9]+-[0-9a-f]+/")
_OWN_THREADS = "memlens-"  # begins the names of our threads
_OWN_THREAD = "/memlens/_own_thread.py"  # is in the stack of those that `threading` does not know


def live_stacks() -> dict[str, Any]:
    """Return the stacks of all threads but this one and ours, and of the suspended asyncio tasks.

    JSON-ready: ``{"threads": [{"name", "id", "daemon", "frames"}], "tasks": [{"name", "coroutine",
    "waits_for", "frames"}]}``. A frame is ``{"function", "file", "line"}``, the innermost last. At
    most 200 frames each (the innermost) and 10,000 tasks.
    """
    frames = _frames_by_thread()
    known = {thread.ident: thread for thread in threading.enumerate()}
    threads = []
    for ident, frame in frames.items():
        thread = known.get(ident)
        name = thread.name if thread is not None else f"thread {ident}"
        if ident == threading.get_ident() or name.startswith(_OWN_THREADS):
            continue
        rows = [_row(one, line) for one, line in _outward(frame)]
        rows.reverse()
        if any(row["file"].endswith(_OWN_THREAD) for row in rows):
            continue
        ours = [place for place, row in enumerate(rows) if _OWN_SCRIPT.search(row["file"])]
        if ours and thread is None:
            continue  # a debugger has started it
        threads.append(
            {
                "name": name,
                "id": getattr(thread, "native_id", None),
                "daemon": thread is not None and thread.daemon,
                "frames": rows[: ours[0]] if ours else rows,
            }
        )
    main = threading.main_thread().name
    threads.sort(key=lambda thread: (thread["name"] != main, thread["id"] or 0))
    tasks = [_task_row(task) for task in _tasks(list(frames.values()))]
    return {"threads": threads, "tasks": [row for row in tasks if row is not None]}


def _outward(frame: FrameType | None) -> Iterator[tuple[FrameType, int]]:
    for _ in range(_MAX_FRAMES):
        if frame is None:
            return
        yield frame, frame.f_lineno or 0
        frame = frame.f_back


def _frames_by_thread() -> dict[int, FrameType]:
    """Return the frames of all threads; beside other interpreters the own: see `_interpreter`.

    This module also runs where memlens is not installed.
    """
    for name in ("_interpreters", "_xxsubinterpreters"):
        module = sys.modules.get(name)  # who makes interpreters has imported it
        if module is not None and len(module.list_all()) > 1:
            return {threading.get_ident(): sys._getframe(1)}
    return sys._current_frames()


def _row(frame: FrameType, line: int) -> dict[str, Any]:
    code = frame.f_code
    return {"function": code.co_qualname, "file": code.co_filename, "line": line}


def _tasks(frames: list[FrameType]) -> list[Any]:
    """Return the tasks of all event loops that run in a thread."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return []
    found: dict[int, Any] = {}
    for loop in _loops(frames):
        try:
            tasks = asyncio.all_tasks(loop)
        except RuntimeError:  # they change faster than they can be listed
            continue
        found.update((id(task), task) for task in tasks)
    return list(found.values())[:_MAX_TASKS]


def _loops(frames: list[FrameType]) -> list[Any]:
    loops: dict[int, Any] = {}
    for innermost in frames:
        for frame, _ in _outward(innermost):
            file, name = frame.f_code.co_filename.replace("\\", "/"), frame.f_code.co_name
            if file.endswith("asyncio/base_events.py") and name in _LOOP_METHODS:
                loop = frame.f_locals.get("self")
            elif file.endswith("asyncio/runners.py") and name == "run":
                loop = getattr(frame.f_locals.get("self"), "_loop", None)  # uvloop runs in C
            else:
                continue
            if loop is not None:
                loops[id(loop)] = loop
    return list(loops.values())


def _task_row(task: Any) -> dict[str, Any] | None:
    """Return where a task is suspended; None for one that runs now: its thread shows it."""
    try:
        coroutine = task.get_coro()
        frames, awaited, is_running = _await_chain(coroutine)
        if is_running:
            return None
        return {
            "name": str(task.get_name()),
            "coroutine": str(getattr(coroutine, "__qualname__", type(coroutine).__qualname__)),
            "waits_for": None if awaited is None else type(awaited).__qualname__,
            "frames": frames,
        }
    except Exception:  # noqa: BLE001 - a task of another library, with methods of its own
        return None


def _await_chain(coroutine: Any) -> tuple[list[dict[str, Any]], Any, bool]:
    """Return the frames from a coroutine inwards, what the last awaits, and whether it runs now."""
    rows: list[dict[str, Any]] = []
    awaited = coroutine
    for _ in range(_MAX_FRAMES):
        for kind in ("cr", "gi", "ag"):
            if hasattr(awaited, f"{kind}_frame"):
                break
        else:
            return rows, awaited, False
        if getattr(awaited, f"{kind}_running"):
            return rows, None, True
        frame = getattr(awaited, f"{kind}_frame")
        if frame is not None:
            rows.append(_row(frame, frame.f_lineno or 0))
        awaited = getattr(awaited, "gi_yieldfrom" if kind == "gi" else f"{kind}_await")
        if awaited is None:
            return rows, None, False
    return rows, awaited, False
