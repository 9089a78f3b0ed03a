"""What gdb does: starts one thread in the process, and detaches. gdb's own Python runs this file.

The new thread takes the GIL as any thread of a C library may (``PyGILState_Ensure``), whenever it
becomes free, and runs a line of Python. gdb does not wait for it. So the process is stopped only
while gdb reads the symbols of libc and makes three short calls in it.

The calls are made in a thread that is not inside the allocator, the loader, a fork or the start or
end of a thread: each of them may hold a lock that the calls need. If there is none, the process
continues for a moment and is tried again.

``MEMLENS_GDB`` names a JSON file: ``pid``, ``addresses`` of functions, ``source`` (with the word
``%MAIN_THREAD%``), ``result`` (the file to write), ``max_seconds``.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import signal
import struct
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

__all__ = ("code_and_data", "is_unsafe")

ATTEMPTS = 40
MAX_FRAMES = 64
PAGE = 4096
UNSAFE = re.compile(
    "alloc|free|memalign|arena|tcache|trim|brk|tls|^_*dl|fork|clone|spawn|exit|pthread_create"
    "|start_thread|nptl|cancel|setxid|stack|fini"
)
ALLOCATOR_FILE = re.compile("alloc|asan|tsan|hoard|memkind|ld-linux|ld-musl")
SYMBOLS_OF = ("libc[.-]", "ld-", "libpthread", "alloc")
# x86-64: rdi points to the data; see `code_and_data` for its layout.
CODE = bytes.fromhex(
    "f30f1efa"  # endbr64
    "53"  # push rbx
    "4889fb"  # mov rbx, rdi
    "ff5318"  # call [rbx+0x18]    pthread_self
    "4889c7"  # mov rdi, rax
    "ff5320"  # call [rbx+0x20]    pthread_detach
    "ff13"  # call [rbx]           PyGILState_Ensure
    "894328"  # mov [rbx+0x28], eax
    "488d7b30"  # lea rdi, [rbx+0x30]
    "ff5308"  # call [rbx+8]       PyRun_SimpleString
    "8b7b28"  # mov edi, [rbx+0x28]
    "ff5310"  # call [rbx+0x10]    PyGILState_Release
    "31c0"  # xor eax, eax
    "5b"  # pop rbx
    "c3"  # ret
)
CALLED = (
    "PyGILState_Ensure",
    "PyRun_SimpleString",
    "PyGILState_Release",
    "pthread_self",
    "pthread_detach",
)


def code_and_data(addresses: Mapping[str, int], source: str) -> tuple[bytes, bytes]:
    """Return the page of code, and the data: five addresses, room for the state, the source."""
    table = struct.pack("<5Q", *(addresses[name] for name in CALLED))
    return CODE.ljust(PAGE, b"\xcc"), table + bytes(8) + source.encode() + b"\0"


def is_unsafe(frames: Iterable[tuple[str | None, str | None]]) -> bool:
    """Tell whether a thread may hold a lock that a new thread needs.

    ``frames``: names and files, the innermost first, up to the first one outside libc.
    """
    return any(
        (name and UNSAFE.search(name)) or (file and ALLOCATOR_FILE.search(os.path.basename(file)))
        for name, file in frames
    )


def frames_of_thread(gdb: Any) -> Iterator[tuple[str | None, str | None]]:
    """Yield names and files of the innermost frames, up to the first without symbols."""
    frame = gdb.newest_frame()
    for _ in range(MAX_FRAMES):
        if frame is None:
            return
        if frame.type() == gdb.SIGTRAMP_FRAME:
            yield "signal handler: clone", None  # it may have interrupted anything
            return
        file = gdb.solib_name(frame.pc())
        yield frame.name(), file
        if frame.name() is None and not (file and re.search("|".join(SYMBOLS_OF), file)):
            return
        frame = frame.older()


def choose_thread(gdb: Any) -> bool:
    """Select a thread that holds no lock of libc; return whether there is one."""
    for thread in gdb.selected_inferior().threads():
        thread.switch()
        try:
            if not is_unsafe(list(frames_of_thread(gdb))):
                return True
        except gdb.error:  # it cannot be unwound
            continue
    return False


def call(gdb: Any, address: int, *values: int) -> int:
    """Call a function of the process with integers; return its result."""
    types = ", ".join(["long"] * len(values)) or "void"
    words = ", ".join(f"{value}L" for value in values)
    return int(gdb.parse_and_eval(f"((long (*)({types})) {address})({words})"))


def why_no_registers(gdb: Any) -> str | None:
    """Return why gdb could not restore the registers of a thread after a call, or None.

    A gdb that does not know all registers of the processor fails only then, and the thread would go
    on with those of the call. So a vector register is changed and set back before anything is called:
    where that fails, nothing has changed.
    """
    register = "$xmm15.v4_int32[0]"
    try:
        value = int(gdb.parse_and_eval(register))
    except gdb.error:
        return None  # another processor: it has no such register
    try:
        for word in (value ^ 1, value):
            gdb.parse_and_eval(f"{register} = {word}")
    except gdb.error as error:
        return (
            f"gdb cannot write the registers of this processor ({error}): install gdb 14 or later"
        )
    return None


def start_thread(gdb: Any, parameters: Mapping[str, Any]) -> str | None:
    """Start the thread in the process; return why that is impossible, or None."""
    why = why_no_registers(gdb)
    if why is not None:
        return why
    addresses = parameters["addresses"]
    if not call(gdb, addresses["Py_IsInitialized"]) & 0xFFFFFFFF:
        return "its interpreter is not running yet, or not any more"
    code, data = code_and_data(
        addresses, parameters["source"].replace("%MAIN_THREAD%", str(main_thread(gdb)))
    )
    size = (len(code) + len(data) + 2 * PAGE - 1) // PAGE * PAGE
    # PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS; the thread's identifier in the last page.
    at = call(gdb, addresses["mmap"], 0, size + PAGE, 3, 0x22, -1, 0)
    if at in (-1, 0):
        return "it can map no memory"
    gdb.selected_inferior().write_memory(at, code + data)
    if call(gdb, addresses["mprotect"], at, PAGE, 5) & 0xFFFFFFFF:  # PROT_READ | PROT_EXEC
        return "the system does not let it map code (SELinux, or a seccomp filter)"
    status = call(gdb, addresses["pthread_create"], at + size, 0, at, at + PAGE) & 0xFFFFFFFF
    return None if status == 0 else f"it can start no thread: {os.strerror(status)}"


def main_thread(gdb: Any) -> int:
    """Return the pthread identifier of the main thread, 0 if that is not known."""
    chosen = gdb.selected_thread()
    for thread in gdb.selected_inferior().threads():
        if thread.ptid[1] == gdb.selected_inferior().pid:
            thread.switch()
            try:
                return int(gdb.parse_and_eval("(unsigned long) $fs_base"))
            finally:
                chosen.switch()
    return 0


def attach(gdb: Any, pid: int) -> None:
    """Attach, and read the symbols by which frames are recognised."""
    gdb.execute(f"attach {pid}", to_string=True)
    for pattern in SYMBOLS_OF:
        gdb.execute(f"sharedlibrary {pattern}", to_string=True)


def run(gdb: Any, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Attach, start the thread, detach; return the result."""
    for command in ("set confirm off", "set pagination off", "set unwindonsignal on",
                    "handle all nostop noprint pass"):  # fmt: skip
        gdb.execute(command, to_string=True)
    stopped_seconds = 0.0
    for attempt in range(ATTEMPTS):
        began = time.monotonic()
        try:
            attach(gdb, parameters["pid"])
        except gdb.error as error:
            return {"refused": str(error)}
        try:
            has_thread = choose_thread(gdb)
            failure = start_thread(gdb, parameters) if has_thread else None
        except gdb.error as error:
            has_thread, failure = True, str(error)
        finally:
            gdb.execute("detach", to_string=True)
            stopped_seconds = max(stopped_seconds, time.monotonic() - began)
        if has_thread:
            return {"failure": failure, "stopped_seconds": stopped_seconds}
        time.sleep(0.002 * (attempt + 1))
    return {"failure": "all its threads are allocating memory or starting; try again"}


def main(gdb: Any) -> None:
    """Do what the parameters say and write the result."""
    with open(os.environ["MEMLENS_GDB"], encoding="utf-8") as file:
        parameters = json.load(file)
    # A call that hangs is abandoned, also if nobody waits for gdb any more.
    signal_me = threading.Timer(parameters["max_seconds"], os.kill, (os.getpid(), signal.SIGINT))
    signal_me.daemon = True
    signal_me.start()
    try:
        result = run(gdb, parameters)
    except KeyboardInterrupt:
        result = {"failure": "a call in the process did not return in time and was abandoned"}
    signal_me.cancel()
    with open(parameters["result"], "w", encoding="utf-8") as file:
        json.dump(result, file)


if "MEMLENS_GDB" in os.environ and __name__ == "__main__":
    main(importlib.import_module("gdb"))
