"""Measure the native memory of objects, library by library, within a time limit for each.

What a library raises stays here: it is counted and noted. A library that raises often, or takes too
long, is asked for nothing more in that capture. Blocks in mapped files have the device ``mapped``.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from memlens._core.native_chunks import HELD_OBJECT, NUMBERS_A_ROW, encode_chunk
from memlens.heap.native.adapter import Adapter, BlocksOf
from memlens.heap.native.blocks import BadBlockError, check_block
from memlens.heap.native.mappings import FileMappings, read_file_mappings

__all__ = ("Measure", "make_measure")

_FORKED_LIMIT_SECONDS = 3.0
_INLINE_LIMIT_SECONDS = 1.0
_MAX_FAILURES = 10
_MAX_ROWS_A_CHUNK = 16_384
_MAX_BLOCKS_AN_OBJECT = 1_000_000

Send = Callable[[bytes], object]
Call = tuple[int, Any, BlocksOf]  # the position of an object, the object, the function to call
_Asked = tuple[int, type, BlocksOf]  # the same, with the type that the object had
Measure = Callable[[Sequence[Any], Send], None]


def make_measure(
    adapters: Mapping[type, Adapter],
    *,
    forked: bool,
    limit_seconds: float | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Measure:
    """Return the function that a core calls with all objects of the types, and with ``send``.

    ``forked`` says whether it will be called in a child process, where nothing else uses the objects.
    Each library may take ``limit_seconds``: by default 3 in a child and 1 in the program itself, twice
    that if it has something to tell later (see `Adapter`). ``send`` receives chunks, see
    `memlens._core.native_chunks`. ``MemoryError``, ``KeyboardInterrupt`` and what ``send`` raises reach
    the caller; in the program itself, everything that is no ``Exception`` does.
    """
    types = dict(adapters)
    limit = limit_seconds or (_FORKED_LIMIT_SECONDS if forked else _INLINE_LIMIT_SECONDS)

    def measure(objects: Sequence[Any], send: Send) -> None:
        mappings = read_file_mappings() if objects else FileMappings(())
        groups: dict[str, list[_Asked]] = {}
        later: dict[str, list[_Asked]] = {}
        for position, owner in enumerate(objects):
            cls = type(owner)
            adapter = types.get(cls)
            if adapter is None:
                continue  # it has another class by now
            groups.setdefault(adapter.library, []).append((position, cls, adapter.blocks_of))
            if adapter.later is not None:
                later.setdefault(adapter.library, []).append((position, cls, adapter.later))
        for library, asked in groups.items():
            measurement = _Measurement(library, len(asked), send, mappings, forked)
            measurement.run(_calls(objects, asked), clock, limit)
        if not (forked or _is_single_threaded()):
            return
        for library, asked in later.items():
            measurement = _Measurement(library, len(asked), send, mappings, forked, "later")
            measurement.run(_calls(objects, asked), clock, limit)

    return measure


def _calls(objects: Sequence[Any], asked: Iterable[_Asked]) -> Iterator[Call]:
    """Yield what to call. An object that got another class meanwhile has nothing to tell."""
    for position, cls, blocks_of in asked:
        owner = objects[position]
        yield position, owner, blocks_of if type(owner) is cls else _nothing


def _nothing(owner: Any) -> tuple[()]:
    return ()


def _is_panic(error: BaseException) -> bool:
    """Tell whether an error is a panic of a library in Rust, which is no ``Exception``."""
    return type(error).__module__ == "pyo3_runtime"


def _is_single_threaded() -> bool:
    """Tell whether the process has no other thread, of Python or of a library."""
    try:
        return len(os.listdir("/proc/self/task")) == 1
    except OSError:
        import psutil

        return int(psutil.Process().num_threads()) == 1


class _Measurement:
    """The measurement of all objects of one library, or of what they tell later."""

    def __init__(
        self,
        library: str,
        object_count: int,
        send: Send,
        mappings: FileMappings,
        forked: bool,
        part: str = "",
    ) -> None:
        self._library = library
        self._mappings = mappings
        self._forked = forked
        self._object_count = object_count
        self._send = send
        self._part = {"part": part} if part else {}
        self._numbers: list[int] = []
        self._name_numbers = {library: 0}
        self._block_count = 0
        self._failure_count = 0
        self._error = ""

    def run(self, calls: Iterable[Call], clock: Callable[[], float], limit_seconds: float) -> None:
        """Measure the objects until too many fail or the time is up, and send what is found."""
        self._flush(self._note("started"))
        start = now = clock()
        measured_count = 0
        for position, owner, blocks_of in calls:
            if now - start >= limit_seconds or self._failure_count > _MAX_FAILURES:
                break
            self._measure(position, owner, blocks_of)
            measured_count += 1
            now = clock()
        self._flush(self._final_note(measured_count, now - start))

    def _measure(self, position: int, owner: Any, blocks_of: BlocksOf) -> None:
        numbers = self._numbers
        row_start = len(numbers)
        name_numbers = self._name_numbers
        held_count = block_count = 0
        try:
            for block in blocks_of(owner):
                address, size, device = check_block(block)
                held_count += device == HELD_OBJECT
                block_count += 1
                if size:
                    if address and device == "cpu" and address in self._mappings:
                        device = "mapped"
                    device_number = name_numbers.setdefault(device, len(name_numbers))
                    numbers += (position, address, size, device_number, 0)
                if block_count > _MAX_BLOCKS_AN_OBJECT:
                    raise BadBlockError("an object has more than 1,000,000 blocks")
        except (MemoryError, KeyboardInterrupt):
            raise
        except BaseException as error:
            if not (self._forked or isinstance(error, Exception) or _is_panic(error)):
                raise  # what a signal handler of the program raises
            del numbers[row_start:]
            held_count = 0
            self._failure_count += 1
            self._error = self._error or _error_text(error)
        self._block_count += (len(numbers) - row_start) // NUMBERS_A_ROW - held_count
        if len(numbers) >= _MAX_ROWS_A_CHUNK * NUMBERS_A_ROW:
            self._flush()

    def _flush(self, note: Mapping[str, Any] | None = None) -> None:
        """Send the rows; a large object may have more than fit into one chunk."""
        numbers, names = self._numbers, tuple(self._name_numbers)
        most = _MAX_ROWS_A_CHUNK * NUMBERS_A_ROW
        for start in range(0, len(numbers), most):
            self._send(encode_chunk(numbers[start : start + most], names))
        if note is not None:
            self._send(encode_chunk((), (), note))
        self._numbers = []

    def _note(self, state: str) -> dict[str, Any]:
        objects = self._object_count
        return {"library": self._library, "state": state, **self._part, "objects": objects}

    def _final_note(self, measured_count: int, seconds: float) -> dict[str, Any]:
        note = {
            **self._note("done"),
            "blocks": self._block_count,
            "failed": self._failure_count,
            "skipped": self._object_count - measured_count,
            "seconds": round(seconds, 6),
        }
        return {**note, "error": self._error} if self._error else note


def _error_text(error: BaseException) -> str:
    """Return what to record of an error. The message of a library's own may contain data."""
    return str(error) if type(error) is BadBlockError else type(error).__name__
