"""Measure the native memory of objects, library by library, within a time limit for each.

What a library raises stays here: it is counted and noted. A library that raises often, or takes too
long, is asked for nothing more in that capture. Blocks in mapped files have the device ``mapped``.
"""

from __future__ import annotations

import os
import time
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from memlens._core.native_chunks import HELD_OBJECT, NUMBERS_A_ROW, encode_chunk
from memlens.heap.native.adapter import Adapter, BlocksOf
from memlens.heap.native.blocks import BadBlockError, NativeBlock, check_block
from memlens.heap.native.mappings import FileMappings, read_file_mappings

__all__ = ("Measure", "make_measure")

_FORKED_LIMIT_SECONDS = 3.0
_INLINE_LIMIT_SECONDS = 1.0
_MAX_FAILURES = 10
_MAX_ROWS_A_CHUNK = 16_384
_MAX_BLOCKS_AN_OBJECT = 1_000_000
_MAX_END = 2**64 - 1
_MAPPED = "mapped"

Send = Callable[[bytes], object]
Measure = Callable[[Sequence[Any], Send], None]


def make_measure(
    adapters: Iterable[tuple[type, Adapter]],
    *,
    forked: bool,
    limit_seconds: float | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Measure:
    """Return the function that a core calls with all objects of the types, and with ``send``.

    ``forked`` says whether it will be called in a child process, where nothing else uses the objects.
    Each library may take ``limit_seconds``: by default 3 in a child and 1 in the program itself, twice
    that if it has something to tell later (see `Adapter`); where that may not be asked for, a note says
    so. ``send`` receives chunks, see
    `memlens._core.native_chunks`. ``MemoryError``, ``KeyboardInterrupt`` and what ``send`` raises reach
    the caller; in the program itself, everything that is no ``Exception`` does.
    """
    pairs = [*adapters]
    # By identity: a metaclass may have code of the program that compares and hashes types.
    libraries = {id(cls): adapter.library for cls, adapter in pairs}
    limit = limit_seconds or (_FORKED_LIMIT_SECONDS if forked else _INLINE_LIMIT_SECONDS)

    def measure(objects: Sequence[Any], send: Send) -> None:
        mappings = read_file_mappings() if objects else FileMappings(())
        for functions, part in ((_told_first, ""), (_told_later, "later")):
            is_asked = not part or forked or _is_single_threaded()
            all_functions = functions(pairs)
            for library, positions in _positions(objects, libraries, all_functions).items():
                measurement = _Measurement(library, len(positions), send, mappings, forked, part)
                if not is_asked:
                    measurement.note("not asked")
                    continue
                own = {
                    key: all_functions[key] for key in all_functions if libraries[key] == library
                }
                measurement.run(objects, positions, own, clock, limit)

    return measure


def _told_first(pairs: Iterable[tuple[type, Adapter]]) -> dict[int, BlocksOf]:
    return {id(cls): adapter.blocks_of for cls, adapter in pairs}


def _told_later(pairs: Iterable[tuple[type, Adapter]]) -> dict[int, BlocksOf]:
    return {id(cls): adapter.later() for cls, adapter in pairs if adapter.later is not None}


def _positions(
    objects: Sequence[Any], libraries: Mapping[int, str], functions: Mapping[int, BlocksOf]
) -> dict[str, list[int]]:
    """Return the positions of the objects that a function exists for, by library."""
    found: dict[str, list[int]] = {}
    of_type: dict[int, list[int] | None] = {}
    for position, owner in enumerate(objects):
        key = id(type(owner))
        if key not in of_type:  # it may have another class by now
            of_type[key] = found.setdefault(libraries[key], []) if key in functions else None
        positions = of_type[key]
        if positions is not None:
            positions.append(position)
    return found


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

    def run(
        self,
        objects: Sequence[Any],
        positions: Sequence[int],
        functions: Mapping[int, BlocksOf],
        clock: Callable[[], float],
        limit_seconds: float,
    ) -> None:
        """Measure the objects until too many fail or the time is up, and send what is found."""
        self.note("started")
        start = now = clock()
        measured_count = 0
        for position in positions:
            if now - start >= limit_seconds or self._failure_count > _MAX_FAILURES:
                break
            owner = objects[position]
            blocks_of = functions.get(id(type(owner)))
            if blocks_of is not None:  # it has not got another class meanwhile
                self._measure(position, owner, blocks_of)
            measured_count += 1
            now = clock()
        self._flush(self._final_note(measured_count, now - start))

    def note(self, state: str) -> None:
        """Send the rows that there are, and a note about the state."""
        self._flush(self._note(state))

    def _measure(self, position: int, owner: Any, blocks_of: BlocksOf) -> None:
        numbers = self._numbers
        row_start = len(numbers)
        name_numbers, bounds = self._name_numbers, self._mappings.bounds
        held_count = block_count = 0
        try:
            for block in blocks_of(owner):
                kind = type(block)
                if (kind is tuple or kind is NativeBlock) and len(block) == 3:
                    address, size, device = block
                else:
                    address, size, device = check_block(block)
                if not (
                    type(device) is str
                    and type(address) is type(size) is int
                    and 0 <= address <= address + size <= _MAX_END
                    and device in name_numbers
                ):
                    check_block(block)
                    name_numbers.setdefault(device, len(name_numbers))
                device_number = name_numbers[device]
                block_count += 1
                if device == HELD_OBJECT:
                    held_count += 1
                elif device == "cpu" and bisect_right(bounds, address) % 2:
                    device_number = name_numbers.setdefault(_MAPPED, len(name_numbers))
                if size:
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
